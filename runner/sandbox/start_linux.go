package sandbox

import (
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds how long bubblewrap may take to make a box. It takes milliseconds, but binds may be on a slow disk.
const patience = time.Minute

// Start makes the box, sets its limits and lets the program begin. When it returns an error, nothing is left.
func (c *Cage) Start() error {
	if err := c.prepare(); err != nil {
		c.pipes.close()
		unpin(c.places)
		return err
	}
	if err := c.launch(); err != nil {
		c.pipes.close()
		unpin(c.places)
		c.group.remove(c.sandbox.log)
		return fmt.Errorf("start %s: %w", c.sandbox.bwrap, err)
	}
	if err := c.release(); err != nil {
		c.pipes.close() // without the filter, which it would read from one of them, the program never begins
		_ = c.Cmd.Process.Kill()
		_ = c.kill()
		_ = c.Wait() // how bubblewrap ended says nothing more
		return fmt.Errorf("%w: %w%s", ErrBox, err, c.words())
	}
	return nil
}

// prepare opens all that bubblewrap needs.
func (c *Cage) prepare() error {
	var err error
	if c.places, err = pinAll(c.box.Binds); err != nil {
		return err
	}
	if c.Stderr == nil {
		c.Stderr = &c.complaint
	}
	if c.Cmd.ExtraFiles, err = c.pipes.open(c.sandbox, c.box); err != nil {
		return err
	}
	if c.group, err = c.sandbox.groups.make(c.box.Limits); err != nil {
		c.sandbox.log.Warn().Err(err).Msg("a box is held without a cgroup")
	}
	if c.group != nil {
		c.Cmd.SysProcAttr.UseCgroupFD, c.Cmd.SysProcAttr.CgroupFD = true, int(c.group.dir.Fd())
	}
	return nil
}

// launch starts bubblewrap from a thread that stays until the box has ended: the kernel kills a box when the thread
// that started it dies, and that shall mean our own death and nothing else.
func (c *Cage) launch() error {
	c.mu.Lock()
	c.phase = making
	c.mu.Unlock()
	started := make(chan error)
	c.thread.Go(func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.Cmd.Start()
		if err == nil {
			if c.bwrap, err = unix.PidfdOpen(c.Cmd.Process.Pid, 0); err != nil {
				_ = c.Cmd.Process.Kill()
				_ = c.Cmd.Wait() // it was killed
			}
		}
		started <- err
		if err != nil {
			return
		}
		select {
		case pid := <-c.found:
			t, err := tie(pid)
			c.tied <- err
			if err == nil {
				t.follow()
			}
		case <-c.gone:
		}
		<-c.gone
	})
	err := <-started
	c.pipes.handedOver()
	if err != nil {
		c.mu.Lock()
		c.phase = finished
		c.mu.Unlock()
	}
	return err
}

// release waits until the box is made, looks at it, sets its limits and lets the program begin.
func (c *Cage) release() error {
	pid, err := c.pipes.firstProcess()
	if err != nil {
		return err
	}
	if err := c.adopt(pid); err != nil {
		return err
	}
	if err := c.pipes.awaitMade(); err != nil {
		return err
	}
	root, err := unix.Open(fmt.Sprintf("/proc/%d/root", pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("look into the box: %w", err)
	}
	defer shut(root)
	if err := verify(root, c.places); err != nil {
		return err
	}
	if err := protectDevices(pid); err != nil {
		return err
	}
	if err := c.watchProcesses(root); err != nil {
		return err
	}
	if err := limit(pid, c.box.Limits); err != nil {
		return err
	}
	if err := c.guard(); err != nil {
		return err
	}
	return c.open()
}

// adopt takes hold of the first process of the box.
func (c *Cage) adopt(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("find the first process of the box: %w", err)
	}
	c.mu.Lock()
	c.first, c.pid, c.phase = fd, pid, running
	c.mu.Unlock()
	c.found <- pid
	if err := <-c.tied; err != nil {
		return fmt.Errorf("tie the box to this program: %w", err)
	}
	return nil
}

// open opens the gate, unless the box is not wanted any more.
func (c *Cage) open() error {
	c.mu.Lock()
	stopped := c.stopped
	c.mu.Unlock()
	if stopped {
		_ = c.kill() // it may have ended
		return nil
	}
	return c.pipes.letGo(c.sandbox.filter)
}
