package decisionapi

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

const (
	// queued is how many decisions of a tenant wait to be written; then answers wait, too.
	queued = 4096
	// batched is how many are written at once.
	batched = 500
	// logPatience is how long an answer waits for a place in the log before it is refused.
	logPatience = 250 * time.Millisecond
	// logAgain is how soon a batch that the store did not take is tried again.
	logAgain = time.Second
)

// LogOptions say what a DecisionLog keeps, and where.
type LogOptions struct {
	Facts FactSource
	// SampleReads keeps one in so many allowed reads; 1 keeps all. All else is kept always.
	SampleReads int
	Log         logr.Logger
}

// DecisionLog writes what was decided, in batches beside the answers. No decision that must be kept is answered before it
// has its place in the queue, so that what is missing is what a crash took before its batch was written.
type DecisionLog struct {
	options LogOptions
	reads   atomic.Int64

	mu      sync.RWMutex
	queues  map[string]chan store.Decision
	closed  bool
	writing sync.WaitGroup
	stop    context.CancelFunc
	context context.Context
}

// NewDecisionLog makes a log that writes until it is closed.
func NewDecisionLog(options LogOptions) *DecisionLog {
	l := &DecisionLog{options: options, queues: make(map[string]chan store.Decision)}
	l.context, l.stop = context.WithCancel(context.Background())
	return l
}

// Close writes what waits, until ctx ends. No decision is taken any more.
func (l *DecisionLog) Close(ctx context.Context) error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		for _, queue := range l.queues {
			close(queue)
		}
	}
	l.mu.Unlock()
	defer l.stop()
	written := make(chan struct{})
	go func() { l.writing.Wait(); close(written) }()
	select {
	case <-written:
		return nil
	case <-ctx.Done():
		return errors.New("the log of decisions could not be written to its end: the store did not take it in time")
	}
}

var errUnlogged = refuse(http.StatusServiceUnavailable, "what is decided cannot be logged now: ask again soon")

// add takes a decision, or refuses where there is no place for it in time.
func (l *DecisionLog) add(ctx context.Context, tenant string, d store.Decision) error {
	l.mu.RLock()
	queue, closed := l.queues[tenant], l.closed
	if queue == nil && !closed {
		l.mu.RUnlock()
		l.begin(tenant)
		l.mu.RLock()
		queue, closed = l.queues[tenant], l.closed
	}
	defer l.mu.RUnlock() // a queue is not closed while somebody waits for a place in it
	if closed {
		return errUnlogged
	}
	select {
	case queue <- d:
		return nil
	default:
	}
	patience := time.NewTimer(logPatience)
	defer patience.Stop()
	select {
	case queue <- d:
		return nil
	case <-patience.C:
	case <-ctx.Done():
	}
	return errUnlogged
}

func (l *DecisionLog) begin(tenant string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.queues[tenant] != nil {
		return
	}
	queue := make(chan store.Decision, queued)
	l.queues[tenant] = queue
	l.writing.Go(func() { l.write(tenant, queue) })
}

// write writes batches: what came while the one before was written.
func (l *DecisionLog) write(tenant string, queue <-chan store.Decision) {
	for first := range queue {
		batch := append(make([]store.Decision, 0, batched), first)
		for len(batch) < batched && len(queue) > 0 {
			d, more := <-queue
			if !more {
				break
			}
			batch = append(batch, d)
		}
		if !l.writeBatch(tenant, batch) {
			return
		}
	}
}

// writeBatch tries until the store takes it. A tenant that the store does not hold has no log. It is false where the log
// must end.
func (l *DecisionLog) writeBatch(tenant string, batch []store.Decision) bool {
	for trouble := ""; ; {
		err := errNoFacts
		if facts := l.options.Facts.Facts(tenant); facts != nil {
			err = facts.Log(l.context, tenant, batch)
		}
		switch {
		case err == nil:
			return true
		case errors.Is(err, store.ErrNoTenant), errors.Is(err, store.ErrRefused):
			l.options.Log.Info("Decisions were not logged", "namespace", tenant, "decisions", len(batch), "reason", err.Error())
			return true
		case err.Error() != trouble:
			trouble = err.Error()
			l.options.Log.Info("The log of decisions cannot be written now", "namespace", tenant, "reason", trouble)
		}
		again := time.NewTimer(logAgain)
		select {
		case <-again.C:
		case <-l.context.Done():
			again.Stop()
			l.options.Log.Info("Decisions were not logged", "namespace", tenant, "decisions", len(batch), "reason", trouble)
			return false
		}
	}
}

// sampledReads is one in how many allowed reads is kept; 0 where there is no log.
func (l *DecisionLog) sampledReads() int {
	if l == nil {
		return 0
	}
	return max(l.options.SampleReads, 1)
}

// sampled says whether an allowed read is kept.
func (l *DecisionLog) sampled() bool {
	n := int64(l.sampledReads())
	return n == 1 || l.reads.Add(1)%n == 0
}

// logDecision logs what was decided about a question.
func (a *asked) logDecision(q *question, reply *Reply, now schedule.Instant) error {
	l := a.options.Log
	if l == nil {
		return nil
	}
	standsFor := int64(1)
	if reply.Decision && q.request.Action == access.ActionRead {
		if !l.sampled() {
			return nil
		}
		standsFor = int64(l.sampledReads())
	}
	d := a.entry(&q.request, now)
	d.StandsFor = standsFor
	if q.subjectType != subjectUser {
		d.Effect, d.Reasons = access.Deny.String(), []string{"account"}
		return l.add(a.http.Context(), a.tenant, d)
	}
	effect, stage := a.policy.Judge(now, &q.request, make([]access.Level, len(q.request.Fields)))
	d.Effect, d.Reasons = effect.String(), []string{stage.String()}
	return l.add(a.http.Context(), a.tenant, d)
}

// The reasons by which the log tells what was made from what was decided.
const (
	reasonShared   = "shared"
	reasonUnshared = "share ended"
	reasonAsked    = "approval asked for"
	reasonApproved = "approved"
	reasonRefused  = "approval refused"
	reasonUsed     = "used"
	reasonUsedUp   = "used up meanwhile"
)

// logMade logs what a person has made, ended, answered or used up; the reason says which.
func (a *asked) logMade(request *access.Request, reason string) error {
	if a.options.Log == nil {
		return nil
	}
	now, err := a.now()
	if err != nil {
		return err
	}
	d := a.entry(request, now)
	d.Effect, d.Reasons = access.Allow.String(), []string{reason}
	return a.options.Log.add(a.http.Context(), a.tenant, d)
}

// logRefusedUse logs that what was allowed had been used up meanwhile.
func (a *asked) logRefusedUse(q *question) error {
	if a.options.Log == nil {
		return nil
	}
	now, err := a.now()
	if err != nil {
		return err
	}
	d := a.entry(&q.request, now)
	d.Effect, d.Reasons = access.Deny.String(), []string{reasonUsedUp}
	return a.options.Log.add(a.http.Context(), a.tenant, d)
}

// entry copies what it keeps: the request's memory is another's once it is answered.
func (a *asked) entry(request *access.Request, now schedule.Instant) store.Decision {
	d := store.Decision{
		At: now, Application: a.application, Subject: strings.Clone(request.User), Action: strings.Clone(request.Action),
		Object: strings.Clone(request.Object), Revision: a.snapshot.Revision, StandsFor: 1,
	}
	if request.Record != nil {
		d.Record = strings.Clone(request.Record.ID)
	}
	if id := a.http.Header[requestIDKey]; len(id) > 0 {
		d.RequestID = id[0]
	}
	return d
}
