package access

import (
	"fmt"
	"math/bits"
	"strings"
)

// Level is a field level. Levels are ordered: a maximum is the wider one, a minimum the narrower.
type Level uint8

// The field levels, narrowest first.
const (
	LevelNone Level = iota
	LevelMasked
	LevelRead
	LevelEdit
)

var levelNames = [...]string{"none", "masked", "read", "edit"}

// String is the level's name in manifests.
func (l Level) String() string { return nameOf(levelNames[:], int(l)) }

// ParseLevel reads a level's name.
func ParseLevel(s string) (Level, error) {
	i, err := indexOf("field level", levelNames[:], s)
	return Level(i), err
}

// Class is a field's sensitivity class.
type Class uint8

// The sensitivity classes. ClassUnset is a field rule that names a field instead.
const (
	ClassUnset Class = iota
	ClassPublic
	ClassInternal
	ClassConfidential
	ClassRestricted
	ClassSecret
	classes
)

var classNames = [...]string{"", "public", "internal", "confidential", "restricted", "secret"}

// String is the class's name in manifests.
func (c Class) String() string { return nameOf(classNames[:], int(c)) }

// ParseClass reads a class's name.
func ParseClass(s string) (Class, error) {
	i, err := indexOf("sensitivity class", classNames[:], s)
	return Class(i), err
}

// defaultLevel is what a tuple gives a field of the class where no rule of its own names it (design §4).
func (c Class) defaultLevel() Level {
	switch c {
	case ClassPublic, ClassInternal:
		return LevelEdit
	case ClassConfidential:
		return LevelMasked
	}
	return LevelNone
}

// Scopes is a set of scopes. Scopes are ORed.
type Scopes uint8

// The scopes, narrowest first.
const (
	ScopeOwn Scopes = 1 << iota
	ScopeInvolved
	ScopeSubordinates
	ScopeDepartment
	ScopeDepartmentAndBelow
	ScopeAll
)

const scopeCount = len(scopeNames)

var scopeNames = [...]string{"own", "involved", "subordinates", "department", "departmentAndBelow", "all"}

// Has says whether the set contains the scope.
func (s Scopes) Has(scope Scopes) bool { return s&scope != 0 }

// narrowest is the index of the narrowest scope of the set.
func (s Scopes) narrowest() int { return bits.TrailingZeros8(uint8(s)) }

// Names lists the scopes of the set, narrowest first. The caller must not change the list: there is one a set.
func (s Scopes) Names() []string { return scopeSets[s&allScopes] }

const allScopes = ScopeAll<<1 - 1

var scopeSets = func() (sets [allScopes + 1][]string) {
	for set := range sets {
		for i, name := range scopeNames {
			if Scopes(set).Has(1 << i) {
				sets[set] = append(sets[set], name)
			}
		}
	}
	return sets
}()

// String joins the names of the set.
func (s Scopes) String() string { return strings.Join(s.Names(), "|") }

// ParseScopes reads the names of scopes into a set.
func ParseScopes(names []string) (Scopes, error) {
	var set Scopes
	for _, name := range names {
		i, err := indexOf("scope", scopeNames[:], name)
		if err != nil {
			return 0, err
		}
		set |= 1 << i
	}
	return set, nil
}

// Operator is how a condition compares.
type Operator string

// The operators of a condition.
const (
	OperatorIn     Operator = "In"
	OperatorNotIn  Operator = "NotIn"
	OperatorExists Operator = "Exists"
)

// UserType says what stands behind an account.
type UserType string

// The types of account.
const (
	UserEmployee UserType = "Employee"
	UserExternal UserType = "External"
	UserService  UserType = "Service"
)

// UserState is the state of an account. Only Active has access.
type UserState string

// The states of an account.
const (
	StateActive    UserState = "Active"
	StateSuspended UserState = "Suspended"
	StateDeparted  UserState = "Departed"
)

// The actions whose meaning the rules of design §4 depend on; an object type may declare others.
const (
	ActionCreate   = "create"
	ActionRead     = "read"
	ActionUpdate   = "update"
	ActionExport   = "export"
	ActionTransfer = "transfer"
	ActionAssign   = "assign"
	ActionUnmask   = "unmask"
	ActionShare    = "share"
)

func nameOf(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("unknown(%d)", i)
}

func indexOf(what string, names []string, s string) (int, error) {
	for i, name := range names {
		if name != "" && name == s {
			return i, nil
		}
	}
	return 0, fmt.Errorf("unknown %s %q: want one of %s", what, s, strings.Join(strings.Fields(strings.Join(names, " ")), ", "))
}
