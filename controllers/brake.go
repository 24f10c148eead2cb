package controllers

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
)

// brakeWindow is over how long people who lose access because objects are gone are counted.
const brakeWindow = 10 * time.Minute

// maxListed is where lists in a status end; the total says how many there are.
const maxListed = 20

// brake is the memory of absences that the tenant row keeps, so that a restart forgets none.
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

func parseBrake(text string) (brake, error) {
	var b brake
	if text == "" {
		return b, nil
	}
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		return brake{Held: true}, fmt.Errorf("the brake's memory in the store cannot be read: %w", err)
	}
	return b, nil
}

func (b brake) String() string {
	if len(b.Recent) == 0 && !b.Held {
		return ""
	}
	text, err := json.Marshal(b)
	if err != nil {
		panic(fmt.Sprintf("names and instants cannot fail to encode: %v", err))
	}
	return string(text)
}

// judge decides whether the loss by absent objects may happen. It returns the brake's new memory, and the held loss
// where it may not.
func (b brake) judge(now time.Time, limits v1alpha1.Brake, absent []access.Ref, losers []string) (brake, *v1alpha1.Held) {
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
	if len(losers) == 0 {
		return next, nil
	}
	for _, person := range losers {
		counted[person] = true
	}
	digest := digestOfLoss(absent, losers)
	if limits.Release == digest {
		return next, nil // a person has looked at it: it counts for nothing that follows
	}
	limit := 50
	if limits.People != nil {
		limit = int(*limits.People)
	}
	if !b.Held && len(counted) <= limit {
		next.Recent = append(next.Recent, loss{now.UTC().Truncate(time.Second), losers})
		return next, nil
	}
	next.Held = true
	held := &v1alpha1.Held{Digest: digest, People: int32(len(losers)), Total: int32(len(absent))}
	for _, ref := range absent[:min(len(absent), maxListed)] {
		held.Objects = append(held.Objects, ref.String())
	}
	return next, held
}

// digestOfLoss names exactly this loss: these objects gone, these people.
func digestOfLoss(absent []access.Ref, losers []string) string {
	slices.SortFunc(absent, compareRefs)
	content, err := json.Marshal(struct {
		Absent []access.Ref
		People []string
	}{absent, losers})
	if err != nil {
		panic(fmt.Sprintf("names cannot fail to encode: %v", err))
	}
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}
