package source

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"github.com/crmaccess/crm-access-operator/internal/manifest"
)

// Repository is a Git repository on this machine: with a work tree, one of several work trees, bare, or a shallow clone.
// It is used by one goroutine at a time.
type Repository struct {
	git *git.Repository
	// within is the folder that the repository was opened from, as a path of its trees.
	within string
	// shallow are the commits whose parents a shallow clone has left out.
	shallow map[plumbing.Hash]bool
}

// OpenRepository opens the repository that a folder is in, as git does. The caller closes it.
func OpenRepository(dir string) (*Repository, error) {
	found, err := git.PlainOpenWithOptions(dir, &git.PlainOpenOptions{DetectDotGit: true, EnableDotGitCommonDir: true})
	if errors.Is(err, git.ErrRepositoryNotExists) {
		found, err = git.PlainOpen(dir) // bare
	}
	if err != nil {
		return nil, fmt.Errorf("open the Git repository of %s: %w", dir, err)
	}
	within := ""
	if tree, err := found.Worktree(); err == nil {
		if within, err = placeIn(tree.Filesystem.Root(), dir); err != nil {
			return nil, err
		}
	}
	storage := filesystem.NewStorageWithOptions(found.Storer.(*filesystem.Storage).Filesystem(), cache.NewObjectLRUDefault(), filesystem.Options{
		ExclusiveAccess:      true, // what is committed stays: a list of packs read once is good
		KeepDescriptors:      true,
		LargeObjectThreshold: manifest.MaxFileSize,
		AlternatesFS:         osfs.New("/"),
	})
	opened, err := git.Open(storage, nil)
	if err != nil {
		return nil, fmt.Errorf("open the Git repository of %s: %w", dir, err)
	}
	cut, err := storage.Shallow()
	if err != nil {
		return nil, fmt.Errorf("open the Git repository of %s: %w", dir, err)
	}
	r := &Repository{git: opened, within: within, shallow: make(map[plumbing.Hash]bool, len(cut))}
	for _, hash := range cut {
		r.shallow[hash] = true
	}
	return r, nil
}

// Close gives back what the repository holds open.
func (r *Repository) Close() error { return r.git.Storer.(*filesystem.Storage).Close() }

// placeIn is a folder as a path from the root of the work tree that it is in.
func placeIn(root, dir string) (string, error) {
	var places [2]string
	for i, place := range []string{root, dir} {
		absolute, err := filepath.Abs(place)
		if err != nil {
			return "", fmt.Errorf("open the Git repository of %s: %w", dir, err)
		}
		if places[i], err = filepath.EvalSymlinks(absolute); err != nil {
			return "", fmt.Errorf("open the Git repository of %s: %w", dir, err)
		}
	}
	within, err := filepath.Rel(places[0], places[1])
	if err != nil {
		return "", fmt.Errorf("open the Git repository of %s: %w", dir, err)
	}
	return filepath.ToSlash(within), nil
}

// Revision is a point of the repository's history, or a tree without one (main^{tree}).
type Revision struct {
	// Name is what was asked for.
	Name   string
	commit *object.Commit // nil of a tree
	tree   plumbing.Hash
}

// treeSuffix asks for the tree of a revision, without its history.
const treeSuffix = "^{tree}"

// Resolve finds a revision: a branch, a tag, a commit, HEAD~2, main^{tree}.
func (r *Repository) Resolve(name string) (*Revision, error) {
	bare, asTree := strings.CutSuffix(name, treeSuffix)
	if bare == "" || strings.ContainsAny(bare[:1], "^~:@{-") && bare != "@" {
		return nil, fmt.Errorf("revision %q: want a branch, a tag or a commit", name)
	}
	hash, err := r.git.ResolveRevision(plumbing.Revision(bare))
	if err != nil {
		return nil, r.unresolved(name, bare, err)
	}
	commit, err := r.git.CommitObject(*hash)
	if err != nil {
		return nil, r.unresolved(name, bare, err)
	}
	found := &Revision{Name: name, commit: commit, tree: commit.TreeHash}
	if asTree {
		found.commit = nil
	}
	return found, nil
}

// unresolved says why a revision is not found, and how to get it.
func (r *Repository) unresolved(name, bare string, err error) error {
	if _, err := r.git.Reference(plumbing.NewRemoteReferenceName("origin", bare), true); err == nil {
		return fmt.Errorf("revision %q is not in the repository; did you mean origin/%s?", name, bare)
	}
	if len(r.shallow) > 0 {
		return fmt.Errorf("revision %q is not in the repository, which is a shallow clone: %s", name, fetchMore)
	}
	if !errors.Is(err, plumbing.ErrReferenceNotFound) && !errors.Is(err, plumbing.ErrObjectNotFound) {
		return fmt.Errorf("revision %q: %w", name, err)
	}
	return fmt.Errorf("revision %q is not in the repository: fetch it, with git fetch origin %s", name, bare)
}

// fetchMore is what brings the history that a shallow clone lacks.
const fetchMore = "fetch more of the history, with git fetch --deepen=100 or git fetch --unshallow (actions/checkout: fetch-depth: 0; GitLab CI: GIT_DEPTH: 0)"

// Fork is the state that head set out from: the newest commit that both come from, as in git diff base...head. A tree has no
// history, and is taken as it is.
func (r *Repository) Fork(base, head *Revision) (*Revision, error) {
	if base.commit == nil || head.commit == nil || base.commit.Hash == head.commit.Hash {
		return base, nil
	}
	walk := newAncestry(r.shallow)
	fork, err := walk.fork(base.commit, head.commit)
	if err != nil {
		return nil, fmt.Errorf("look for what %s and %s have in common: %w", base.Name, head.Name, err)
	}
	if fork == nil && walk.cut {
		return nil, fmt.Errorf("%s and %s have nothing in common in this clone, which is shallow: %s", base.Name, head.Name, fetchMore)
	}
	if fork == nil {
		return nil, fmt.Errorf("%s and %s have no commit in common: to compare them all the same, ask for %s%s", base.Name, head.Name, base.Name, treeSuffix)
	}
	if fork.Hash == base.commit.Hash {
		return base, nil
	}
	return &Revision{Name: "merge base of " + base.Name + " and " + head.Name, commit: fork, tree: fork.TreeHash}, nil
}

// title is the name with the commit or tree that it stands for.
func (v *Revision) title() string {
	hash := v.tree
	if v.commit != nil {
		hash = v.commit.Hash
	}
	if strings.HasPrefix(hash.String(), v.Name) {
		return v.Name
	}
	return fmt.Sprintf("%s (%s)", v.Name, hash.String()[:12])
}

// Files is what stands at a path of a revision. The path is taken from the folder that the repository was opened from.
func (r *Repository) Files(revision *Revision, name string) (*Files, error) {
	start := path.Join(r.within, filepath.ToSlash(name))
	if !fs.ValidPath(start) {
		return nil, fmt.Errorf("%s is outside the repository: name a path below its root", name)
	}
	return r.files(revision, start)
}

// Root is all that stands in a revision.
func (r *Repository) Root(revision *Revision) (*Files, error) { return r.files(revision, ".") }

func (r *Repository) files(revision *Revision, start string) (*Files, error) {
	root, err := r.git.TreeObject(revision.tree)
	if err != nil {
		return nil, fmt.Errorf("read the tree of %s: %w", revision.title(), missing(err))
	}
	fsys := newRevisionFS(r.git.Storer, root)
	if _, err := fsys.entry("read", start); errors.Is(err, fs.ErrNotExist) {
		return nil, &AbsentError{Path: start, State: revision.title()}
	} else if err != nil {
		return nil, fmt.Errorf("read %s of %s: %w", start, revision.title(), reason(err))
	}
	t := &tree{fsys: fsys, read: fsys.ReadFile, display: func(file string) string { return file }}
	return &Files{
		Name: revision.title(),
		load: func(reader *manifest.Reader) (*manifest.Tree, error) { return t.load(reader, start) },
		read: fsys.ReadFile,
		root: fsys.ReadFile,
	}, nil
}

// reason is a file error without its path, which the message already names.
func reason(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// missing says of an object that is not there what may be the cause.
func missing(err error) error {
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return fmt.Errorf("%w: is this a partial clone? clone without --filter", err)
	}
	return err
}

// ancestry walks from two commits towards their first common ancestors.
type ancestry struct {
	shallow map[plumbing.Hash]bool
	seen    map[plumbing.Hash]side
	// queue holds what is to be walked, the newest last.
	queue []*object.Commit
	// cut says that the walk came to where a shallow clone ends.
	cut bool
}

// side says from which of the two commits another was reached; stale ones are behind a common ancestor.
type side uint8

const (
	fromBase side = 1 << iota
	fromHead
	stale
)

func newAncestry(shallow map[plumbing.Hash]bool) *ancestry {
	return &ancestry{shallow: shallow, seen: map[plumbing.Hash]side{}}
}

// fork is the newest common ancestor that is behind no other; of several that are as new, the first by its hash.
func (a *ancestry) fork(base, head *object.Commit) (*object.Commit, error) {
	a.reach(base, fromBase)
	a.reach(head, fromHead)
	var common []*object.Commit
	for !a.onlyStale() {
		commit := a.queue[len(a.queue)-1]
		a.queue = a.queue[:len(a.queue)-1]
		from := a.seen[commit.Hash]
		if from&(fromBase|fromHead) == fromBase|fromHead {
			if from&stale == 0 {
				common = append(common, commit)
			}
			from |= stale
		}
		if err := a.parents(commit, from); err != nil {
			return nil, err
		}
	}
	common = slices.DeleteFunc(common, func(c *object.Commit) bool { return a.seen[c.Hash]&stale != 0 })
	if len(common) == 0 {
		return nil, nil
	}
	slices.SortFunc(common, func(x, y *object.Commit) int { return -inTime(x, y) })
	return common[0], nil
}

// inTime puts the older of two commits first.
func inTime(x, y *object.Commit) int {
	return cmp.Or(x.Committer.When.Compare(y.Committer.When), cmp.Compare(y.Hash.String(), x.Hash.String()))
}

func (a *ancestry) onlyStale() bool {
	return !slices.ContainsFunc(a.queue, func(c *object.Commit) bool { return a.seen[c.Hash]&stale == 0 })
}

// reach notes from where a commit was reached, and walks on from it if that is new.
func (a *ancestry) reach(commit *object.Commit, from side) {
	before := a.seen[commit.Hash]
	if before|from == before {
		return
	}
	a.seen[commit.Hash] = before | from
	at, queued := slices.BinarySearchFunc(a.queue, commit, inTime)
	if !queued {
		a.queue = slices.Insert(a.queue, at, commit)
	}
}

func (a *ancestry) parents(commit *object.Commit, from side) error {
	if a.shallow[commit.Hash] {
		a.cut = true
		return nil
	}
	return commit.Parents().ForEach(func(parent *object.Commit) error {
		a.reach(parent, from)
		return nil
	})
}
