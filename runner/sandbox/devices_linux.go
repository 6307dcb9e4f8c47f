package sandbox

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// protectDevices makes the mounts of the box's devices read-only, which leaves the devices writable. They are the
// host's own /dev/null and so on, and when the host runs as root, a box's user is their owner: with chmod it could
// take them from everybody. Bubblewrap has no option for it (its --remount-ro takes the device away), so we
// do it from outside while the program waits. An ordinary user owns no devices.
func protectDevices(pid int) error {
	if os.Geteuid() != 0 {
		return nil
	}
	ns, err := unix.Open(fmt.Sprintf("/proc/%d/ns/mnt", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("protect the devices of the host: %w", err)
	}
	defer shut(ns)
	if err := onOwnThread(func() error { return remountDevices(ns) }); err != nil {
		return fmt.Errorf("protect the devices of the host, which runs as root; an ordinary user needs no such thing: %w", err)
	}
	return nil
}

// remountDevices leaves the calling thread in the box's mounts.
func remountDevices(ns int) error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil { // whose root and folder are not the other threads'
		return fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Setns(ns, unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("enter the box: %w", err)
	}
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		err := unix.MountSetattr(unix.AT_FDCWD, "/dev/"+name, unix.AT_SYMLINK_NOFOLLOW, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("make /dev/%s read-only: %w", name, err)
		}
	}
	return nil
}
