package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/crmaccess/crm-access-operator/internal/manifest"
)

// Files is one state of files that manifests are read from.
type Files struct {
	// Name is how a plan calls the state: a folder, or a revision with its commit.
	Name string
	load func(*manifest.Reader) (*manifest.Tree, error)
	// read reads a file by the name that messages give it, and root one by its path from the root of the state.
	read, root func(name string) ([]byte, error)
}

// ReadFile reads a file by the name that messages and manifest.Source give it.
func (f *Files) ReadFile(name string) ([]byte, error) { return f.read(name) }

// ReadRoot reads a file by its path from the root of the state: of a revision, from that of the repository. The error is
// fs.ErrNotExist where there is none.
func (f *Files) ReadRoot(name string) ([]byte, error) { return f.root(name) }

// Load reads the manifests with a reader, which may have read others. Any fault is an error, and the error joins all of
// them (see manifest.Faults): a state of which a part is missing must not be compared with anything.
func (f *Files) Load(reader *manifest.Reader) (*manifest.Tree, error) {
	tree, err := f.load(reader)
	if tree == nil {
		return nil, err
	}
	if err := errors.Join(err, escapes(tree)); err != nil {
		return nil, err
	}
	return tree, nil
}

// escapes are faults for links that lead out of the tree: what stands there is not what is reviewed here.
func escapes(tree *manifest.Tree) error {
	var faults []error
	for _, note := range tree.Notes {
		if note.Escapes {
			faults = append(faults, &manifest.Fault{Source: note.Source, Message: "is a symbolic link that leads out of the tree: put the file itself there"})
		}
	}
	return errors.Join(faults...)
}

// AbsentError says that a state is there, and nothing in it at the path that was asked for.
type AbsentError struct{ Path, State string }

func (e *AbsentError) Error() string { return fmt.Sprintf("there is no %s in %s", e.Path, e.State) }

// Folder is the state of what stands at a path of a folder.
func Folder(dir, name string) (*Files, error) {
	start := filepath.ToSlash(filepath.Clean(name))
	if !filepath.IsLocal(filepath.FromSlash(start)) {
		return nil, fmt.Errorf("%s is not below %s: name a path inside it", name, dir)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("read manifests: %w", err)
	}
	// The root stays open as long as the process: whoever draws a plan reads files of it until the end.
	fsys := root.FS()
	if _, err := fs.Stat(fsys, start); errors.Is(err, fs.ErrNotExist) {
		return nil, &AbsentError{Path: start, State: dir}
	} else if err != nil {
		return nil, fmt.Errorf("read manifests: %w", err)
	}
	t := &tree{fsys: fsys, read: os.ReadFile, display: func(file string) string { return filepath.Join(dir, filepath.FromSlash(file)) }}
	return &Files{
		Name: filepath.Join(dir, filepath.FromSlash(start)),
		load: func(reader *manifest.Reader) (*manifest.Tree, error) { return t.load(reader, start) },
		read: os.ReadFile,
		root: func(name string) ([]byte, error) { return fs.ReadFile(fsys, name) },
	}, nil
}
