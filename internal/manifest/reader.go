package manifest

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
)

// Reader reads trees of manifests, one after the other. A file that several of them hold with the same content is read once:
// the trees then share what it declares, which nobody may change.
type Reader struct {
	checks checks
	known  map[contentKey]*file
}

// contentKey is what a file's objects depend on.
type contentKey struct {
	content string
	form    form
}

// NewReader makes a reader that knows no file yet.
func NewReader() (*Reader, error) {
	checks, err := admissions()
	if err != nil {
		return nil, err
	}
	return &Reader{checks: checks, known: map[contentKey]*file{}}, nil
}

// Read reads every manifest of a file system below a start, or the one file that start is, as Load does. The name of a file
// in messages is display's.
func (r *Reader) Read(fsys fs.FS, start string, display func(string) string) (*Tree, error) {
	reading := r.Start()
	if err := reading.Walk(fsys, start, display, func(string) bool { return false }); err != nil {
		return nil, err
	}
	return reading.Tree()
}

// ReadText reads a text that came from no folder, as a file of YAML of this name.
func (r *Reader) ReadText(name string, data []byte) (*Tree, error) {
	reading := r.Start()
	reading.found = []foundFile{{name, r.checks.read(asYAML, data)}}
	return reading.Tree()
}

// Reading is one tree that is put together of several parts.
type Reading struct {
	reader *Reader
	found  []foundFile
}

// Start begins a tree.
func (r *Reader) Start() *Reading { return &Reading{reader: r} }

// Tree is what all parts declare together.
func (g *Reading) Tree() (*Tree, error) {
	m := &merger{tree: &Tree{Tenants: map[string]*Tenant{}}}
	for _, found := range g.found {
		m.take(found)
	}
	return m.tree, joined(m.faults)
}

// Walk adds every manifest of a file system below a start, but for the folders that are skipped. Where the entries of its
// folders have a method ContentID, files of the same ID are read once.
func (g *Reading) Walk(fsys fs.FS, start string, display func(string) string, skip func(folder string) bool) error {
	w := &walk{reader: g.reader, fsys: fsys, display: display, skip: skip, jobs: make(chan job)}
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(w.work)
	}
	err := fs.WalkDir(fsys, start, w.visit)
	close(w.jobs)
	workers.Wait()
	if err != nil {
		return fmt.Errorf("read manifests: %w", err)
	}
	g.found = append(g.found, w.found...)
	return nil
}

// walk goes through a file system. Files are opened one after the other, and what stands in them is read side by side; in
// which order that ends does not matter, since everything is put together in the order in which it was found.
type walk struct {
	reader  *Reader
	fsys    fs.FS
	display func(string) string
	skip    func(folder string) bool
	found   []foundFile
	jobs    chan job
}

// foundFile is a file by the name that messages give it.
type foundFile struct {
	name string
	*file
}

// job is a content that is to be read into a file.
type job struct {
	into *file
	form form
	data []byte
}

func (w *walk) work() {
	for j := range w.jobs {
		*j.into = *w.reader.checks.read(j.form, j.data)
	}
}

func (w *walk) fail(name, format string, args ...any) {
	w.found = append(w.found, foundFile{w.display(name), &file{faults: []*Fault{{Message: fmt.Sprintf(format, args...)}}}})
}

func (w *walk) note(name string, note Note) {
	w.found = append(w.found, foundFile{w.display(name), &file{notes: []Note{note}}})
}

// visit takes one file. A file or folder that cannot be read is a fault and does not keep the others from being read.
func (w *walk) visit(name string, entry fs.DirEntry, err error) error {
	switch {
	case err != nil:
		w.fail(name, "cannot be read: %v", reason(err))
		if entry != nil && entry.IsDir() {
			return fs.SkipDir
		}
		return nil
	case entry.IsDir():
		if entry.Name() == ".git" || w.skip(name) {
			return fs.SkipDir
		}
		return nil
	case entry.Type()&fs.ModeSymlink != 0:
		w.note(name, Note{Message: "is a symbolic link, which is not followed", Escapes: w.escapes(name)})
		return nil
	case entry.Type()&fs.ModeIrregular != 0:
		w.note(name, Note{Message: "is a submodule, which is not entered: name its own repository to read it"})
		return nil
	}
	form, isManifest := forms[filepath.Ext(name)]
	switch {
	case !isManifest:
	case !entry.Type().IsRegular():
		w.note(name, Note{Message: "is no regular file and is not read"})
	default:
		w.take(name, form, entry)
	}
	return nil
}

// escapes says whether a symbolic link leads out of the file system, or may.
func (w *walk) escapes(name string) bool {
	target, err := fs.ReadLink(w.fsys, name)
	return err != nil || filepath.IsAbs(target) || !filepath.IsLocal(path.Join(path.Dir(name), filepath.ToSlash(target)))
}

// take has a file read, unless its content was.
func (w *walk) take(name string, form form, entry fs.DirEntry) {
	key := contentKey{form: form}
	identified, ok := entry.(interface{ ContentID() string })
	if ok {
		key.content = identified.ContentID()
	}
	if known := w.reader.known[key]; ok && known != nil {
		w.found = append(w.found, foundFile{w.display(name), known})
		return
	}
	data, err := readLimited(w.fsys, name)
	if err != nil {
		w.fail(name, "%v", err)
		return
	}
	if !ok {
		sum := sha256.Sum256(data)
		key.content = string(sum[:])
	}
	known := w.reader.known[key]
	if known == nil {
		known = &file{}
		w.reader.known[key] = known
		w.jobs <- job{known, form, data}
	}
	w.found = append(w.found, foundFile{w.display(name), known})
}

// merger makes a tree of files.
type merger struct {
	tree   *Tree
	faults []*Fault
}

// take adds what a file holds, under its name.
func (m *merger) take(f foundFile) {
	for _, note := range f.notes {
		note.Source.File = f.name
		m.tree.Notes = append(m.tree.Notes, note)
	}
	m.fail(f.name, f.faults)
	for i := range f.objects {
		m.object(f.name, &f.objects[i])
	}
}

func (m *merger) fail(file string, faults []*Fault) {
	for _, fault := range faults {
		there := *fault
		there.Source.File = file
		m.faults = append(m.faults, &there)
	}
}

func (m *merger) object(file string, o *object) {
	tenant := m.tenant(o.namespace)
	at := Source{File: file, Line: o.at.Line}
	if first, ok := tenant.Sources[o.ref]; ok {
		m.faults = append(m.faults, &Fault{Source: at, Ref: o.ref, Message: fmt.Sprintf("stands already at %s%s: keep one of the two", first, inNamespace(o.namespace))})
		return
	}
	if o.ref.Name != "" {
		tenant.Sources[o.ref] = at
	}
	if len(o.faults) > 0 {
		m.fail(file, o.faults)
		return
	}
	add(&tenant.Declarations, o.declaration)
	tenant.Objects[o.ref] = o.typed
}

func (m *merger) tenant(namespace string) *Tenant {
	tenant := m.tree.Tenants[namespace]
	if tenant == nil {
		tenant = &Tenant{Namespace: namespace, Objects: map[access.Ref]v1alpha1.Object{}, Sources: map[access.Ref]Source{}}
		m.tree.Tenants[namespace] = tenant
	}
	return tenant
}

func inNamespace(namespace string) string {
	if namespace == "" {
		return ""
	}
	return " for namespace " + namespace
}
