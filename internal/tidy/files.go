package tidy

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/manifest"
)

// Find lists the manifest files below folders, and files that are named themselves, in the order of their names. Symbolic
// links are not followed; a note says which.
func Find(paths []string) ([]string, []manifest.Note, error) {
	var files []string
	var notes []manifest.Note
	for _, path := range paths {
		err := filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.Type()&fs.ModeSymlink != 0:
				notes = append(notes, manifest.Note{Source: manifest.Source{File: name}, Message: "is a symbolic link, which is not followed"})
			case entry.IsDir() && entry.Name() == ".git":
				return fs.SkipDir
			case entry.Type().IsRegular() && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name)):
				files = append(files, filepath.Clean(name))
			}
			return nil
		})
		if err != nil {
			return nil, nil, fmt.Errorf("find manifests: %w", err)
		}
	}
	slices.Sort(files)
	return slices.Compact(files), notes, nil
}

// Read reads a file of the size that manifests can have.
func Read(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read manifests: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read from
	data, err := io.ReadAll(io.LimitReader(f, manifest.MaxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("read manifests: %w", err)
	}
	if len(data) > manifest.MaxFileSize {
		return nil, fmt.Errorf("read manifests: %s is larger than %d MiB: split it", file, manifest.MaxFileSize>>20)
	}
	return data, nil
}

// Replace gives a file other content at once: whoever reads it meanwhile sees the one or the other. It keeps the mode.
func Replace(file string, data []byte) error {
	if err := replace(file, data); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}

func replace(file string, data []byte) (err error) {
	info, err := os.Lstat(file)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is no regular file any more")
	}
	next, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(next.Name()) // what went wrong is told already
		}
	}()
	_, err = next.Write(data)
	err = errors.Join(err, next.Chmod(info.Mode().Perm()), next.Sync(), next.Close())
	if err != nil {
		return err
	}
	return os.Rename(next.Name(), file)
}

// Kustomizations lists the kustomizations below the paths, and those in the folders above the files that go, up to where
// the repository begins.
func (p *Pruning) Kustomizations(paths []string) ([]string, error) {
	var found []string
	for _, path := range paths {
		err := filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() && slices.Contains(KustomizationNames, entry.Name()) {
				found = append(found, filepath.Clean(name))
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("find kustomizations: %w", err)
		}
	}
	for file, content := range p.Files {
		if content == nil {
			found = append(found, above(file)...)
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// above lists the kustomizations in the folder of a file and in those above it.
func above(file string) []string {
	var found []string
	for dir := filepath.Dir(file); ; dir = filepath.Join(dir, "..") {
		for _, name := range KustomizationNames {
			if info, err := os.Lstat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() {
				found = append(found, filepath.Join(dir, name))
			}
		}
		_, err := os.Lstat(filepath.Join(dir, ".git"))
		here, errHere := os.Stat(dir)
		next, errNext := os.Stat(filepath.Join(dir, ".."))
		if err == nil || errHere != nil || errNext != nil || os.SameFile(here, next) {
			return found
		}
	}
}

// Write changes the files, and then deletes those that go, so that no kustomization ever lists one that is not there.
func (p *Pruning) Write() error {
	for _, file := range slices.Sorted(maps.Keys(p.Files)) {
		if content := p.Files[file]; content != nil {
			if err := Replace(file, content); err != nil {
				return err
			}
		}
	}
	for _, file := range slices.Sorted(maps.Keys(p.Files)) {
		if p.Files[file] == nil {
			if err := os.Remove(file); err != nil {
				return fmt.Errorf("delete %s: %w", file, err)
			}
		}
	}
	return nil
}
