package kernel

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// loopAttempts bounds how often another process may take the free device first.
const loopAttempts = 16

// tryLoop attaches a file in memory to a loop device and reads the file through the device.
//
// A loop device belongs to the whole machine, so it must free itself when its last user closes it, however that comes about:
// the flag for that is set in the same call that attaches the file (LOOP_CONFIGURE, since Linux 5.8). With an older kernel
// there is a moment at which a killed process would leave the device attached, so there it stays untried.
func tryLoop(mark string) (text string, err error) {
	const blockBytes, blocks = 4096, 16
	content := bytes.Repeat([]byte(mark), blockBytes*blocks/len(mark)+1)[:blockBytes*blocks]
	file, err := memoryFile(mark, content)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errUnready, err)
	}
	defer func() { _ = file.Close() }() // it is nowhere but in memory
	device, err := attach(file, mark)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, device.Close()) }() // which detaches
	got := make([]byte, blockBytes)
	const offset = 3 * blockBytes
	if _, err := device.ReadAt(got, offset); err != nil {
		return "", fmt.Errorf("read: %w", err)
	}
	if !bytes.Equal(got, content[offset:offset+blockBytes]) {
		return "", fmt.Errorf("read %s: got something else than the file holds", device.Name())
	}
	return fmt.Sprintf("attached a file to %s, read it through that and detached it", device.Name()), nil
}

func memoryFile(name string, content []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w", err)
	}
	file := os.NewFile(uintptr(fd), name)
	if _, err := file.Write(content); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func attach(file *os.File, mark string) (*os.File, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = control.Close() }() // nothing is written to it
	for range loopAttempts {
		device, err := attachFree(control, file, mark)
		if !errors.Is(err, syscall.EBUSY) {
			return device, err
		}
	}
	return nil, fmt.Errorf("%w: others took the free device %d times", errUnready, loopAttempts)
}

// attachFree asks for a free device and takes it, which fails with EBUSY if somebody else was faster.
func attachFree(control, file *os.File, mark string) (*os.File, error) {
	number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return nil, fmt.Errorf("ask for a free device: %w", err)
	}
	device, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", number), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	config := unix.LoopConfig{Fd: uint32(file.Fd()), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR}}
	copy(config.Info.File_name[:], mark)
	err = unix.IoctlLoopConfigure(int(device.Fd()), &config)
	if err == nil {
		return device, nil
	}
	if errors.Is(err, syscall.ENXIO) || errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTTY) {
		err = fmt.Errorf("%w: this kernel attaches no file in one call that is safe here: %w", errUnready, err)
	}
	return nil, errors.Join(fmt.Errorf("attach a file to %s: %w", device.Name(), err), device.Close())
}
