package manifest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
)

// MaxFileSize is the largest file that is read, in bytes.
const MaxFileSize = 10 << 20

// Tree is what a folder of manifests declares.
type Tree struct {
	// Tenants are by namespace; "" is that of manifests which leave the namespace to whoever applies them.
	Tenants map[string]*Tenant
	// Notes say what was left out and may not have been meant to be.
	Notes []Note
}

// Tenant is what the manifests of one namespace declare.
type Tenant struct {
	Namespace    string
	Declarations access.Declarations
	// Objects are the objects as the API server would store them, defaults included, and Sources where they stand.
	Objects map[access.Ref]v1alpha1.Object
	Sources map[access.Ref]Source
}

// Note is a remark about a file that is no error.
type Note struct {
	Source  Source
	Message string
	// Escapes says that the file is a symbolic link that leads out of what was read.
	Escapes bool
}

// String is file:line: message.
func (n Note) String() string { return n.Source.String() + ": " + n.Message }

// Load reads every manifest below a folder, or one file, in the order of their names. Files are .yaml, .yml and .json;
// symbolic links are not followed. Objects of other API groups and files that are no manifests are left out.
//
// The error joins every fault (see Faults), with file and line: text that cannot be read, and all that an API server
// would refuse. The tree is returned also then, without what is wrong; whoever compares trees must not take the one
// for the other, since what is wrong would look as if it were gone.
func Load(path string) (*Tree, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read manifests: %w", err)
	}
	dir, only := path, "."
	if !info.IsDir() {
		dir, only = filepath.Dir(path), filepath.Base(path)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("read manifests: %w", err)
	}
	defer func() { _ = root.Close() }() // it was only read from
	return load(root.FS(), only, func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) })
}

// LoadFS reads every manifest of a file system as Load does.
func LoadFS(fsys fs.FS) (*Tree, error) {
	return load(fsys, ".", func(name string) string { return name })
}

func load(fsys fs.FS, start string, display func(string) string) (*Tree, error) {
	reader, err := NewReader()
	if err != nil {
		return nil, err
	}
	return reader.Read(fsys, start, display)
}

// readLimited reads a file of a size that manifests can have.
func readLimited(fsys fs.FS, name string) ([]byte, error) {
	file, err := fsys.Open(name)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", reason(err))
	}
	defer func() { _ = file.Close() }() // it was only read from
	tooLarge := fmt.Errorf("is larger than %d MiB: split it", MaxFileSize>>20)
	if info, err := file.Stat(); err == nil && info.Size() > MaxFileSize {
		return nil, tooLarge
	}
	data, err := io.ReadAll(io.LimitReader(file, MaxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", reason(err))
	}
	if len(data) > MaxFileSize {
		return nil, tooLarge
	}
	return data, nil
}

// reason is a file error without its path, which the message already names.
func reason(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}
