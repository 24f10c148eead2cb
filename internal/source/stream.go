package source

import (
	"fmt"
	"io"
	"io/fs"

	"github.com/crmaccess/crm-access-operator/internal/manifest"
)

// maxStream is the largest stream that is read, in bytes: what a chart renders is one stream, however many objects it has.
const maxStream = 10 * manifest.MaxFileSize

// Stream is the state that a stream holds as one file, such as what helm template prints.
func Stream(name string, in io.Reader) (*Files, error) {
	data, err := io.ReadAll(io.LimitReader(in, maxStream+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(data) > maxStream {
		return nil, fmt.Errorf("read %s: is larger than %d MiB: write it to a folder of several files", name, maxStream>>20)
	}
	return &Files{
		Name: name,
		load: func(reader *manifest.Reader) (*manifest.Tree, error) { return reader.ReadText(name, data) },
		read: func(string) ([]byte, error) { return data, nil },
		root: noRoot,
	}, nil
}

// Nothing is a state that holds no manifests, within another, whose root it has; nil is none.
func Nothing(name string, within *Files) *Files {
	nothing := &Files{
		Name: name,
		load: func(*manifest.Reader) (*manifest.Tree, error) { return &manifest.Tree{}, nil },
		read: noRoot,
		root: noRoot,
	}
	if within != nil {
		nothing.root = within.root
	}
	return nothing
}

func noRoot(name string) ([]byte, error) {
	return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
}
