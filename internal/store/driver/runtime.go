package driver

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// ForgetAtOnce bounds how many decisions one call removes, so that none waits long for a lock.
const ForgetAtOnce = 10000

// maxName bounds what the log keeps of a name, in bytes: whoever asks may send anything.
const maxName = 256

// NewID names a share or a request: 130 random bits, which nobody guesses.
func NewID() string { return rand.Text() }

// Level reads a share's level. What cannot be read, a hand wrote: it gives nothing.
func Level(text string) access.Level {
	level, err := access.ParseLevel(text)
	if err != nil {
		return access.LevelNone
	}
	return level
}

// Distinct are the ids in order, each once.
func Distinct(ids []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(ids)))
}

// Answers reads the answers to a request as the drivers' statements make them: approves is a number in both.
func Answers(text []byte) ([]store.Answer, error) {
	var list []struct {
		Approver string `json:"approver"`
		Approves int    `json:"approves"`
		Comment  string `json:"comment"`
		At       string `json:"at"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("%w: the answers to a request cannot be read", store.ErrSchema)
	}
	answers := make([]store.Answer, len(list))
	for i, a := range list {
		at, err := schedule.Parse(a.At)
		if err != nil {
			return nil, fmt.Errorf("%w: an answer to a request has no instant", store.ErrSchema)
		}
		answers[i] = store.Answer{Approver: a.Approver, Approves: a.Approves != 0, Comment: a.Comment, At: at}
	}
	return answers, nil
}

// logged is a decision as the statement that logs it reads it.
type logged struct {
	At          string   `json:"at"`
	Application string   `json:"application"`
	Subject     string   `json:"subject"`
	Action      string   `json:"action"`
	Object      string   `json:"object"`
	Record      string   `json:"record_id"`
	Effect      string   `json:"effect"`
	Reasons     []string `json:"reasons,omitempty"`
	Revision    string   `json:"revision"`
	RequestID   string   `json:"request_id"`
	StandsFor   int64    `json:"stands_for"`
}

// Log writes decisions as JSON for the statement that logs them. A name that a database would refuse is kept as far as it
// can be: one bad name must not keep the others out of the log.
func Log(decisions []store.Decision) (string, error) {
	list := make([]logged, len(decisions))
	for i, d := range decisions {
		list[i] = logged{
			At: d.At.String(), Application: kept(d.Application), Subject: kept(d.Subject), Action: kept(d.Action), Object: kept(d.Object),
			Record: kept(d.Record), Effect: kept(d.Effect), Revision: kept(d.Revision), RequestID: kept(d.RequestID), StandsFor: max(d.StandsFor, 1),
		}
		for _, reason := range d.Reasons {
			list[i].Reasons = append(list[i].Reasons, kept(reason))
		}
	}
	text, err := json.Marshal(list)
	return string(text), err
}

func kept(name string) string {
	if len(name) > maxName {
		name = name[:maxName]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(name, "\uFFFD"), "\x00", "\uFFFD")
}
