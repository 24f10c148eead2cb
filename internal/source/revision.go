package source

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

// revisionFS is a tree of Git as a file system. Nothing is checked out: a file is read from the repository when it is
// opened. Symbolic links are not followed, submodules not entered.
type revisionFS struct {
	objects storer.EncodedObjectStorer
	trees   map[string]*object.Tree
}

func newRevisionFS(objects storer.EncodedObjectStorer, root *object.Tree) *revisionFS {
	return &revisionFS{objects: objects, trees: map[string]*object.Tree{".": root}}
}

// tree is a folder.
func (r *revisionFS) tree(operation, name string) (*object.Tree, error) {
	if known := r.trees[name]; known != nil {
		return known, nil
	}
	found, err := r.entry(operation, name)
	if err != nil {
		return nil, err
	}
	if !found.IsDir() {
		return nil, &fs.PathError{Op: operation, Path: name, Err: errors.New("is no folder")}
	}
	tree, err := object.GetTree(r.objects, found.git.Hash)
	if err != nil {
		return nil, &fs.PathError{Op: operation, Path: name, Err: missing(err)}
	}
	r.trees[name] = tree
	return tree, nil
}

// entry is what stands at a path.
func (r *revisionFS) entry(operation, name string) (*revisionEntry, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: operation, Path: name, Err: fs.ErrInvalid}
	}
	if name == "." {
		return &revisionEntry{git: object.TreeEntry{Name: ".", Mode: filemode.Dir}}, nil
	}
	parent, err := r.tree(operation, path.Dir(name))
	if err != nil {
		return nil, err
	}
	found, err := parent.FindEntry(path.Base(name))
	if err != nil {
		return nil, &fs.PathError{Op: operation, Path: name, Err: fs.ErrNotExist}
	}
	return &revisionEntry{objects: r.objects, git: *found}, nil
}

// ReadDir lists a folder, in the order of names.
func (r *revisionFS) ReadDir(name string) ([]fs.DirEntry, error) {
	tree, err := r.tree("readdir", name)
	if err != nil {
		return nil, err
	}
	entries := make([]fs.DirEntry, 0, len(tree.Entries))
	for _, e := range tree.Entries {
		// Git writes no such names; whoever makes the objects by hand can.
		if e.Name == "" || e.Name == "." || e.Name == ".." || strings.Contains(e.Name, "/") {
			return nil, &fs.PathError{Op: "readdir", Path: name, Err: fmt.Errorf("holds an entry of the name %q: the tree is damaged", e.Name)}
		}
		entries = append(entries, &revisionEntry{objects: r.objects, git: e})
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// Open opens a file or folder.
func (r *revisionFS) Open(name string) (fs.File, error) {
	entry, err := r.entry("open", name)
	if err != nil {
		return nil, err
	}
	if entry.Type()&^fs.ModeDir != 0 {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("is no regular file")}
	}
	info, err := entry.Info()
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &revisionFile{entry: entry, info: info}, nil
}

// ReadFile reads a file.
func (r *revisionFS) ReadFile(name string) ([]byte, error) {
	file, err := r.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read from
	return io.ReadAll(file)
}

// Lstat is what is known of a path, without following a link.
func (r *revisionFS) Lstat(name string) (fs.FileInfo, error) {
	entry, err := r.entry("lstat", name)
	if err != nil {
		return nil, err
	}
	return entry.Info()
}

// ReadLink is where a symbolic link leads to.
func (r *revisionFS) ReadLink(name string) (string, error) {
	entry, err := r.entry("readlink", name)
	if err != nil {
		return "", err
	}
	if entry.git.Mode != filemode.Symlink {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	data, err := entry.content()
	return string(data), err
}

// revisionEntry is an entry of a tree.
type revisionEntry struct {
	objects storer.EncodedObjectStorer
	git     object.TreeEntry
}

// Name is the last element of its path.
func (e *revisionEntry) Name() string { return e.git.Name }

// IsDir says whether it is a folder.
func (e *revisionEntry) IsDir() bool { return e.git.Mode == filemode.Dir }

// ContentID names the content: it is the same wherever the same content stands.
func (e *revisionEntry) ContentID() string { return e.git.Hash.String() }

// Type is a folder, a file, a link, or irregular: a submodule.
func (e *revisionEntry) Type() fs.FileMode {
	switch e.git.Mode {
	case filemode.Dir:
		return fs.ModeDir
	case filemode.Symlink:
		return fs.ModeSymlink
	case filemode.Regular, filemode.Deprecated, filemode.Executable:
		return 0
	}
	return fs.ModeIrregular
}

// Info is what is known without reading the content.
func (e *revisionEntry) Info() (fs.FileInfo, error) {
	info := revisionInfo{entry: e}
	if e.IsDir() || e.git.Mode == filemode.Submodule {
		return info, nil
	}
	size, err := e.objects.EncodedObjectSize(e.git.Hash)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		size, err = e.borrowedSize()
	}
	if err != nil {
		return nil, missing(err)
	}
	info.size = size
	return info, nil
}

// borrowedSize is the size of an object that the repository borrows of another, where go-git looks for objects only.
func (e *revisionEntry) borrowedSize() (int64, error) {
	blob, err := object.GetBlob(e.objects, e.git.Hash)
	if err != nil {
		return 0, err
	}
	return blob.Size, nil
}

func (e *revisionEntry) content() (data []byte, err error) {
	blob, err := object.GetBlob(e.objects, e.git.Hash)
	if err != nil {
		return nil, missing(err)
	}
	reader, err := blob.Reader()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	buffer := bytes.NewBuffer(make([]byte, 0, blob.Size+bytes.MinRead))
	if _, err := buffer.ReadFrom(reader); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

// revisionInfo is what is known of an entry. Trees of Git keep no times.
type revisionInfo struct {
	entry *revisionEntry
	size  int64
}

// Name is the last element of the path.
func (i revisionInfo) Name() string { return i.entry.Name() }

// Size is the length in bytes.
func (i revisionInfo) Size() int64 { return i.size }

// Mode is what kind of file it is.
func (i revisionInfo) Mode() fs.FileMode { return i.entry.Type() | 0o444 }

// ModTime is the zero time.
func (i revisionInfo) ModTime() time.Time { return time.Time{} }

// IsDir says whether it is a folder.
func (i revisionInfo) IsDir() bool { return i.entry.IsDir() }

// Sys is nothing.
func (i revisionInfo) Sys() any { return nil }

// revisionFile is an open file, whose content is read with the first Read: whoever finds it too large asks for its size only.
type revisionFile struct {
	entry  *revisionEntry
	info   fs.FileInfo
	reader *bytes.Reader
}

// Stat is what is known of the file.
func (f *revisionFile) Stat() (fs.FileInfo, error) { return f.info, nil }

// Read reads the content.
func (f *revisionFile) Read(into []byte) (int, error) {
	if f.entry.IsDir() {
		return 0, errors.New("is a folder")
	}
	if f.reader == nil {
		data, err := f.entry.content()
		if err != nil {
			return 0, err
		}
		f.reader = bytes.NewReader(data)
	}
	return f.reader.Read(into)
}

// Close does nothing: what is open is the repository.
func (f *revisionFile) Close() error { return nil }
