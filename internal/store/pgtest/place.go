//go:build unix

package pgtest

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// debian is where Debian's packages put the server's programs, each version into a folder of its own.
const debian = "/usr/lib/postgresql"

// findPrograms is the folder of the server's programs: the one on PATH wins, then the newest of those packaged.
func findPrograms(packaged string) (string, error) {
	if initdb, err := exec.LookPath("initdb"); err == nil {
		if initdb, err = filepath.EvalSymlinks(initdb); err == nil && complete(filepath.Dir(initdb)) {
			return filepath.Dir(initdb), nil
		}
	}
	candidates, _ := filepath.Glob(filepath.Join(packaged, "*", "bin"))
	newest, best := "", -1
	for _, candidate := range candidates {
		version, err := strconv.Atoi(filepath.Base(filepath.Dir(candidate)))
		if err == nil && version > best && complete(candidate) {
			newest, best = candidate, version
		}
	}
	if newest == "" {
		return "", errMissing
	}
	return newest, nil
}

func complete(folder string) bool {
	for _, program := range []string{"initdb", "pg_ctl", "postgres", "psql"} {
		if _, err := os.Stat(filepath.Join(folder, program)); err != nil {
			return false
		}
	}
	return true
}

// unprivileged is who the server runs as: PostgreSQL refuses to run as root. Nil is the user we are.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		account, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
		if uidErr == nil && gidErr == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, fmt.Errorf("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
}

// longestSocket is what fits a Unix socket's address with PostgreSQL's file name behind it.
const longestSocket = 80

// makeFolder makes the cluster's folder where the account can reach it: under TMPDIR unless that is too long for a socket.
func makeFolder(account *syscall.Credential) (string, error) {
	parent := os.TempDir()
	if len(parent) > longestSocket {
		parent = "/tmp"
	}
	folder, err := os.MkdirTemp(parent, "pgtest")
	if err != nil {
		return "", err
	}
	if account != nil {
		err = os.Chown(folder, int(account.Uid), int(account.Gid))
	}
	if err != nil {
		_ = os.RemoveAll(folder)
		return "", err
	}
	return folder, nil
}
