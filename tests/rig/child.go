package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// tailBytes is how much of a dead child's log an error carries.
const tailBytes = 4096

// children are processes that end with this one. They must be started from one goroutine that is locked to its thread:
// the kernel ends them when the thread that started them ends.
type children struct {
	dir     string
	started []*exec.Cmd
	pids    map[string]int
	died    chan error
	running sync.WaitGroup
}

func newChildren(dir string) *children {
	return &children{dir: dir, pids: map[string]int{}, died: make(chan error, 8)}
}

// start runs a program with its output in <dir>/<name>.log; files become its descriptors 3, 4, ….
func (c *children) start(name, program string, args []string, files ...*os.File) error {
	path := filepath.Join(c.dir, name+".log")
	log, err := os.Create(path)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = log, log, files
	cmd.SysProcAttr = endWithParent()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	c.started = append(c.started, cmd)
	c.pids[name] = cmd.Process.Pid
	c.running.Add(1)
	go func() {
		defer c.running.Done()
		err := cmd.Wait()
		c.died <- fmt.Errorf("%s ended (%v); the end of %s:\n%s", name, exitText(err), path, tail(path))
	}()
	return nil
}

// end kills all and waits until they are gone. Their data goes with them, so nothing has to be said goodbye to.
func (c *children) end() {
	for _, cmd := range c.started {
		_ = cmd.Process.Kill()
	}
	c.running.Wait()
}

func exitText(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

func tail(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	if len(content) > tailBytes {
		content = content[len(content)-tailBytes:]
	}
	return strings.TrimSpace(string(content))
}
