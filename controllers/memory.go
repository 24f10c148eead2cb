package controllers

import (
	"encoding/json"
	"fmt"

	"github.com/crmaccess/crm-access-operator/internal/access"
)

// memory is what the tenant row keeps for the controllers, so that a restart forgets none of it.
type memory struct {
	Brake brake `json:"brake,omitzero"`
	// Ground are the uids of what the objects stand on. See ground.
	Ground ground `json:"ground,omitempty"`
	// OlderAPI is the owner whose API was found to show a state from before what the store has acted on. Its
	// resourceVersions grow past that soon, and it is no more to be believed then: only a person clears this.
	OlderAPI string `json:"olderAPI,omitempty"`
	// Tampered is how many writes by others have been put right or reported.
	Tampered int64 `json:"tampered,omitempty"`
	// Guards are the states of the admission policies, by name, under which everything of their time was judged, and
	// Unproven are the texts of objects, by Kind/name, of which it is not known who made them. See vetting.
	Guards   map[string]string `json:"guards,omitempty"`
	Unproven map[string]string `json:"unproven,omitempty"`
	// Lifted are the uids of the revocations whose lift was approved while their objects are still there: what was lifted
	// once stays so, also when whoever approved it has left.
	Lifted []string `json:"lifted,omitempty"`
}

// parseMemory reads what the tenant row keeps. Where that is not ours, every loss is held until it is released.
func parseMemory(text string) (*memory, error) {
	if text == "" {
		return &memory{}, nil
	}
	m := &memory{}
	if err := json.Unmarshal([]byte(text), m); err != nil {
		return &memory{Brake: brake{Held: true}}, fmt.Errorf("the controllers' memory in the store cannot be read: %w", err)
	}
	return m, nil
}

func (m *memory) String() string {
	text, err := json.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("names and instants cannot fail to encode: %v", err))
	}
	if string(text) == "{}" {
		return ""
	}
	return string(text)
}

// with is a copy in which the brake and the ground are others. Nothing is remembered that was not written.
func (m *memory) with(b brake, g ground) *memory {
	next := *m
	next.Brake, next.Ground = b, g
	return &next
}

// guard writes down a state of a policy.
func (m *memory) guard(policy, state string) {
	if m.Guards == nil {
		m.Guards = make(map[string]string)
	}
	m.Guards[policy] = state
}

// reject writes down that it is not known who made a text.
func (m *memory) reject(ref access.Ref, id string) {
	if m.Unproven == nil {
		m.Unproven = make(map[string]string)
	}
	m.Unproven[ref.String()] = id
}

// after is a copy that has seen so many writes by others.
func (m *memory) after(tampered int64) *memory {
	next := *m
	next.Tampered = tampered
	return &next
}

// ground are the uids of what a namespace's objects stand on, by name: the PermissionStore, and the definition of each
// kind. Where one was made anew since the objects were last seen whole, they went with the former one: that somebody
// ended their access does not follow.
type ground map[string]string

// groundStore is the PermissionStore's key; the definitions' are their kinds.
const groundStore = "PermissionStore"

// shaken says whether something of what the given kinds stand on is not what it was. What is not remembered is believed
// to have been there.
func (g ground) shaken(now ground, kinds []string) bool {
	for _, key := range append(kinds, groundStore) {
		if was := g[key]; was != "" && was != now[key] {
			return true
		}
	}
	return false
}
