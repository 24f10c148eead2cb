package plan

import (
	"time"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// DefaultHorizon is how far a plan looks ahead for what changes by itself.
const DefaultHorizon = 30 * 24 * time.Hour

// Options are what a comparison depends on besides the two states.
type Options struct {
	At      schedule.Instant
	Horizon time.Duration
	// Rules judge the risk of each change; nil means DefaultRules.
	Rules []Rule
}
