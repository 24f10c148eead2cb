package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/access"
)

// Source is where something stands. The zero value is an object that came from no file.
type Source struct {
	File string
	Line int
}

// String is file:line, or the file alone.
func (s Source) String() string {
	if s.Line == 0 {
		return s.File
	}
	return fmt.Sprintf("%s:%d", s.File, s.Line)
}

// Fault is one thing that is wrong in a manifest or a record file.
type Fault struct {
	Source Source
	// Ref is the object, where it is known which.
	Ref access.Ref
	// Path is the field inside the object, such as spec.grants[3].scopes.
	Path    string
	Message string
}

// Error is file:line: Kind/name: path: message, without the parts that are not known.
func (f *Fault) Error() string {
	var parts []string
	if f.Source.File != "" {
		parts = append(parts, f.Source.String())
	}
	if f.Ref != (access.Ref{}) {
		parts = append(parts, f.Ref.String())
	}
	if f.Path != "" {
		parts = append(parts, f.Path)
	}
	return strings.Join(append(parts, f.Message), ": ")
}

// Faults lists the faults inside an error of this package.
func Faults(err error) []*Fault {
	var out []*Fault
	var visit func(error)
	visit = func(err error) {
		var fault *Fault
		if several, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range several.Unwrap() {
				visit(e)
			}
		} else if errors.As(err, &fault) {
			out = append(out, fault)
		}
	}
	visit(err)
	return out
}

// joined is one error for all faults, in the order of files and lines.
func joined(faults []*Fault) error {
	slices.SortStableFunc(faults, func(a, b *Fault) int {
		return cmp.Or(cmp.Compare(a.Source.File, b.Source.File), cmp.Compare(a.Source.Line, b.Source.Line))
	})
	errs := make([]error, len(faults))
	for i, f := range faults {
		errs[i] = f
	}
	return errors.Join(errs...)
}
