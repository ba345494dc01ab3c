package main

import "syscall"

// endWithParent makes the kernel end a child when its parent ends, however that happens.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
