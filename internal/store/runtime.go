package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// Runtime keeps what people make while the CRM runs, and not by manifests: shares of records, requests for an operation's
// approval with their answers, and the log of decisions. None of it is a tenant's content: no object owns it, no revision
// or ledger counts it, and nobody needs a fence to write it. Who may make what is asked of the engine before; what is
// checked here is what two replicas could otherwise both do at once.
type Runtime interface {
	// Shares reads the shares that have not ended, with the run-time version that they are the state of.
	Shares(ctx context.Context, tenant string) (Shares, error)
	// SharesOf reads up to limit of the shares that a person made or receives, ended or not, the newest first.
	SharesOf(ctx context.Context, tenant, person string, limit int) ([]Share, error)
	// MakeShare keeps a share from the store's now on, and gives it its id. ErrRefused where it is none (see Share.Check),
	// where maker or recipient have no account in use, or where the maker has MaxOpen already. With it the approvals that let
	// it through are used up, which are the maker's requests of these ids: ErrRefused, and nothing is done, where one of them
	// cannot be.
	MakeShare(ctx context.Context, tenant string, share Share, approvals []string) (Share, error)
	// EndShare ends a share at the store's now. ErrNotFound where there is none of that id that is live.
	EndShare(ctx context.Context, tenant, id, by string) error

	// Ask keeps a request from the store's now on, and gives it its id. ErrRefused where it is none (see Request.Check), or
	// where the subject has MaxOpen open ones.
	Ask(ctx context.Context, tenant string, request Request) (Request, error)
	// Requests reads those of the ids that there are, in any state, with their answers, in no particular order.
	Requests(ctx context.Context, tenant string, ids []string) ([]Request, error)
	// RequestsOf reads up to limit of a subject's requests, in any state, the newest first.
	RequestsOf(ctx context.Context, tenant, subject string, limit int) ([]Request, error)
	// OpenRequests reads up to limit of those that wait for answers or to be used, in the order of their places, from after
	// one; the zero place is the beginning.
	OpenRequests(ctx context.Context, tenant string, after Place, limit int) ([]Request, error)
	// Answer adds a person's answer to an open request. ErrNotFound where there is none of that id, and where it is the
	// person's own, was answered by the person already, or by anybody with no.
	Answer(ctx context.Context, tenant, id string, answer Answer) error

	// Consume uses up what an operation is about to use, all of it or nothing: the reservation's rows where there are any,
	// and the subject's requests of these ids, each of which counts once.
	Consume(ctx context.Context, tenant string, consumption Consumption) (Consumed, error)

	// Log adds decisions to the log, in their order.
	Log(ctx context.Context, tenant string, decisions []Decision) error
	// Logged reads up to limit of a subject's decisions from before one of the log, the newest first; zero is the end.
	Logged(ctx context.Context, tenant, subject string, before int64, limit int) ([]Decision, error)

	// Forget removes shares and requests that ended, and decisions that were made, longer ago than is to be kept. It
	// returns how many rows went.
	Forget(ctx context.Context, tenant string, keep Retention) (int64, error)
}

const (
	// MaxShare is the longest that a share lasts, in seconds.
	MaxShare = 31 * 24 * 60 * 60
	// MaxRequest is the longest that a request can be answered and used, in seconds.
	MaxRequest = 7 * 24 * 60 * 60
	// MaxOpen is how many live shares a maker, and how many open requests a subject can have.
	MaxOpen = 200
	// maxText bounds a reason and a comment, in bytes.
	maxText = 2000
)

// Shares are the live shares of a tenant at one run-time version.
type Shares struct {
	Version int64
	List    []access.ShareFact
}

// Share is a share with what is told of it.
type Share struct {
	access.ShareFact
	Reason string
	// EndedBy is who ended it early; empty where nobody did. Its window ends then.
	EndedBy string
}

// Check says what is wrong with a share that is to be made now: ErrRefused.
func (s Share) Check(now schedule.Instant) error {
	switch {
	case s.Maker == "" || s.Recipient == "" || s.Object == "" || s.Record == "" || len(s.Actions) == 0:
		return fmt.Errorf("%w: a share names maker, recipient, object, record and actions", ErrRefused)
	case s.Maker == s.Recipient:
		return fmt.Errorf("%w: nobody shares with themselves", ErrRefused)
	case s.Reason == "" || len(s.Reason) > maxText:
		return fmt.Errorf("%w: a share needs a reason of at most %d bytes", ErrRefused, maxText)
	case s.Window.NotAfter <= now || s.Window.NotAfter-now > MaxShare:
		return fmt.Errorf("%w: a share ends within %d days from now", ErrRefused, MaxShare/(24*60*60))
	case s.Level > access.LevelEdit:
		return fmt.Errorf("%w: a share's level is one of none, masked, read and edit", ErrRefused)
	}
	return checkNames(append(slices.Concat(s.Actions, s.OnlyFields), s.Maker, s.Recipient, s.Object, s.Record, s.Reason))
}

// ErrNoAccount says that a share cannot be made because its maker or its recipient have no account in use, whatever a
// policy said that is a moment older.
var ErrNoAccount = fmt.Errorf("%w: the maker or the recipient of the share has no account in use", ErrRefused)

// ErrSpent says that a share cannot be made because an approval that it counts on cannot be used up.
var ErrSpent = fmt.Errorf("%w: an approval that lets the share through was used up, has ended, or is not the maker's; ask anew", ErrRefused)

// Request asks for the approval of one operation, once.
type Request struct {
	ID string
	Operation
	// Question is what was asked, as JSON with the facts of the record that the CRM said: whoever answers is named by the
	// engine from it.
	Question json.RawMessage
	Window   schedule.Window
	// UsedAt is when it was used, or Forever.
	UsedAt  schedule.Instant
	Answers []Answer
}

// Place is where a request stands among others: the oldest first.
type Place struct {
	At schedule.Instant
	ID string
}

// Place is where the request stands.
func (r Request) Place() Place { return Place{r.Window.NotBefore, r.ID} }

// Operation is what an approval is about. It fits a question that is about just that, of no more rows and fields.
type Operation struct {
	Subject, Action, Object string
	// Record is the id; empty where the question is about none, or proposes one.
	Record string
	// Proposed is the digest of what is known of a record without an id, or of what a share gives; else empty.
	Proposed                     string
	TargetUser, TargetDepartment string
	// Channel, Device and Reason are as they were said: whoever approves answers for just that.
	Channel, Device, Reason string
	// Rows are how many at most; nil is none said.
	Rows *int64
	// Fields are the only ones that it is about; none is any.
	Fields []string
}

// Fits says whether an approval of o lets the operation through.
func (o Operation) Fits(asked Operation) bool {
	if o.Subject != asked.Subject || o.Action != asked.Action || o.Object != asked.Object || o.Record != asked.Record ||
		o.Proposed != asked.Proposed || o.TargetUser != asked.TargetUser || o.TargetDepartment != asked.TargetDepartment {
		return false
	}
	if o.Channel != asked.Channel || o.Device != asked.Device || o.Reason != asked.Reason {
		return false
	}
	if o.Rows != nil && (asked.Rows == nil || *asked.Rows > *o.Rows) || o.Rows == nil && asked.Rows != nil {
		return false
	}
	return len(o.Fields) == 0 ||
		len(asked.Fields) > 0 && !slices.ContainsFunc(asked.Fields, func(f string) bool { return !slices.Contains(o.Fields, f) })
}

// Open says whether the request can be answered and used.
func (r Request) Open(now schedule.Instant) bool {
	return r.Window.Active(now) && r.UsedAt == schedule.Forever && !slices.ContainsFunc(r.Answers, func(a Answer) bool { return !a.Approves })
}

// Approvers are those who said yes; nobody where one said no.
func (r Request) Approvers() []string {
	var people []string
	for _, a := range r.Answers {
		if !a.Approves {
			return nil
		}
		people = append(people, a.Approver)
	}
	return people
}

// Check says what is wrong with a request that is to be made now: ErrRefused.
func (r Request) Check(now schedule.Instant) error {
	switch {
	case r.Subject == "" || r.Action == "" || r.Object == "":
		return fmt.Errorf("%w: a request names a subject, an action and an object", ErrRefused)
	case r.Rows != nil && (*r.Rows < 0 || *r.Rows > MaxRows):
		return fmt.Errorf("%w: a request is about 0 to %d rows", ErrRefused, int64(MaxRows))
	case len(r.Reason) > maxText:
		return fmt.Errorf("%w: a request's reason has at most %d bytes", ErrRefused, maxText)
	case r.Window.NotAfter <= now || r.Window.NotAfter-now > MaxRequest:
		return fmt.Errorf("%w: a request ends within %d days from now", ErrRefused, MaxRequest/(24*60*60))
	case !json.Valid(r.Question):
		return fmt.Errorf("%w: a request's question is JSON", ErrRefused)
	}
	return checkNames(append(slices.Clone(r.Fields), r.Subject, r.Action, r.Object, r.Record, r.Proposed, r.TargetUser, r.TargetDepartment,
		r.Channel, r.Device, r.Reason))
}

// Answer is one person's yes or no to a request.
type Answer struct {
	Approver string
	Approves bool
	Comment  string
	At       schedule.Instant
}

// Check says what is wrong with an answer: ErrRefused.
func (a Answer) Check() error {
	if a.Approver == "" || len(a.Comment) > maxText {
		return fmt.Errorf("%w: an answer names who gives it, and has a comment of at most %d bytes", ErrRefused, maxText)
	}
	return checkNames([]string{a.Approver, a.Comment})
}

// Consumption is what a subject's operation uses up.
type Consumption struct {
	// Reservation is of rows; nil reserves none.
	Reservation *Reservation
	// Subject is whose requests these are.
	Subject  string
	Requests []string
}

// Check says what is wrong with a consumption: ErrRefused.
func (c Consumption) Check() error {
	if c.Reservation == nil && len(c.Requests) == 0 || c.Subject == "" {
		return fmt.Errorf("%w: a consumption names a subject, and rows or approvals that are used up", ErrRefused)
	}
	if c.Reservation != nil {
		if err := c.Reservation.Check(); err != nil {
			return err
		}
	}
	return checkNames(append(slices.Clone(c.Requests), c.Subject))
}

// Consumed is what came of a Consumption.
type Consumed struct {
	// OK says that everything was used up; else nothing was.
	OK bool
	// Spent says that one of the requests was used already, has ended, or is not the subject's.
	Spent bool
	// Reserved is what came of the reservation, where the requests did not refuse before.
	Reserved Reserved
}

// Decision is an entry of the log: what was decided, and never what a record holds.
type Decision struct {
	// ID is the place in the log, which the store gives.
	ID int64
	// At is the instant that the decision held for.
	At schedule.Instant
	// Application is the caller who asked, Subject the person it was about.
	Application                     string
	Subject, Action, Object, Record string
	// Effect is ALLOW, DENY or APPROVAL; Reasons are codes.
	Effect    string
	Reasons   []string
	Revision  string
	RequestID string
	// StandsFor is one more than how many like it were left out of the log before it.
	StandsFor int64
}

// Retention says how long is kept what has ended, and what was logged.
type Retention struct {
	Ended  time.Duration
	Logged time.Duration
}
