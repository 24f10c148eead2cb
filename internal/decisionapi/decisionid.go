package decisionapi

import (
	"crypto/rand"
	"strconv"
	"sync/atomic"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// decisionIDs names decisions: what is random names the process, and a number the decision in it.
type decisionIDs struct {
	process string
	last    atomic.Uint64
}

func newDecisionIDs() *decisionIDs { return &decisionIDs{process: rand.Text() + "-"} }

func (d *decisionIDs) next() string {
	id := make([]byte, 0, 48)
	return string(strconv.AppendUint(append(id, d.process...), d.last.Add(1), 10))
}

// clockFace remembers how the latest instant is written: most requests of a second share it.
type clockFace struct{ latest atomic.Pointer[shownInstant] }

type shownInstant struct {
	at   schedule.Instant
	text string
}

func (c *clockFace) show(at schedule.Instant) string {
	if latest := c.latest.Load(); latest != nil && latest.at == at {
		return latest.text
	}
	shown := &shownInstant{at, at.String()}
	c.latest.Store(shown)
	return shown.text
}
