//go:build !linux

package main

import "syscall"

// endWithParent cannot be had here: children of a killed rig stay.
func endWithParent() *syscall.SysProcAttr { return nil }
