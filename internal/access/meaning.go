package access

import "slices"

// ActionMeant is the action that a question about the named one is about: the first variant of it that the properties of
// the action in the question fit, or the action itself. A variant is an action like every other: without a grant of its
// own it is denied, whoever may do the action that it is a variant of.
func (p *Policy) ActionMeant(object, action string, property func(name string) []string) string {
	id, known := p.objectIDs.find(object)
	if !known {
		return action
	}
	for _, v := range p.objects[id].variants {
		if v.Of == action && slices.Contains(property(v.Property), v.Value) {
			return v.Action
		}
	}
	return action
}

// UserMeant is the user whom a question names: by name, or else by the subject or username of a login that no other user
// has. Whom it does not know it leaves as named: such a user has no account.
func (p *Policy) UserMeant(named string) string {
	if _, known := p.users.find(named); known {
		return named
	}
	if user, known := p.UserByLogin("", named); known {
		return user
	}
	return named
}

// UserByLogin is the only user with a login of that subject or username at the issuer; at any issuer where it is empty.
func (p *Policy) UserByLogin(issuer, named string) (user string, known bool) {
	id, known := p.logins[loginKey{issuer, named}]
	if !known || id == none {
		return "", false
	}
	return p.users.list[id], true
}

// loginKey is the subject or username of a login. Without an issuer it is that of any.
type loginKey struct{ issuer, named string }

// indexLogins puts none for what more than one user has: nobody is taken for somebody else.
func (p *Policy) indexLogins(user int32, logins []Login) {
	for _, login := range logins {
		for _, named := range [...]string{login.Subject, login.Username} {
			for _, key := range [...]loginKey{{login.Issuer, named}, {"", named}} {
				before, taken := p.logins[key]
				switch {
				case named == "":
				case taken && before != user:
					p.logins[key] = none
				default:
					p.logins[key] = user
				}
			}
		}
	}
}
