package controllers

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
)

// brakeWindow is over how long people who lose access because objects are gone are counted.
const brakeWindow = 10 * time.Minute

// maxListed is where lists in a status end; the total says how many there are.
const maxListed = 20

// defaultBrakePeople is the limit where admission has put none.
const defaultBrakePeople = 50

// brake is the memory of absences.
type brake struct {
	// Recent are losses that happened, for as long as they count.
	Recent []loss `json:"recent,omitempty"`
	// Held says that a loss is held. It stays held until it is released or the objects come back: time alone does not
	// let ten thousand deletions through in small portions.
	Held bool `json:"held,omitempty"`
}

type loss struct {
	At     time.Time `json:"at"`
	People []string  `json:"people"`
}

// departure is what would happen if objects that are gone were believed to be.
type departure struct {
	// Objects are gone, in order; UIDs are theirs, so that one that was made anew and is gone again is another loss.
	Objects []access.Ref
	UIDs    []string
	// People would lose access, in order.
	People []string
	// shaken says that what the objects stood on was made anew meanwhile: a person decides, however few the people.
	shaken bool
}

// judge decides whether a loss by absent objects may happen. It returns the brake's new memory, and the held loss
// where it may not.
func (b brake) judge(now time.Time, limits v1alpha1.Brake, d departure) (brake, *v1alpha1.Held) {
	next := brake{}
	counted := make(map[string]bool)
	for _, l := range b.Recent {
		if now.Sub(l.At) < brakeWindow {
			next.Recent = append(next.Recent, l)
			for _, person := range l.People {
				counted[person] = true
			}
		}
	}
	if len(d.People) == 0 {
		return next, nil
	}
	for _, person := range d.People {
		counted[person] = true
	}
	digest := d.digest()
	if limits.Release == digest {
		return next, nil // a person has looked at it: it counts for nothing that follows
	}
	limit := defaultBrakePeople
	if limits.People != nil {
		limit = int(*limits.People)
	}
	if !b.Held && !d.shaken && len(counted) <= limit {
		next.Recent = append(next.Recent, loss{now.UTC().Truncate(time.Second), d.People})
		return next, nil
	}
	next.Held = true
	held := &v1alpha1.Held{Digest: digest, People: int32(len(d.People)), Total: int32(len(d.Objects))}
	for _, ref := range d.Objects[:min(len(d.Objects), maxListed)] {
		held.Objects = append(held.Objects, ref.String())
	}
	return next, held
}

// digest names exactly this loss: these objects gone, these people.
func (d departure) digest() string {
	content, err := json.Marshal(d)
	if err != nil {
		panic(fmt.Sprintf("names cannot fail to encode: %v", err))
	}
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}
