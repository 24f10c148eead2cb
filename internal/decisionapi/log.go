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

// DecisionLog writes what was decided, in batches beside the answers. No decision that must be kept is answered, and nothing
// is made, before it has its place in the queue, so that what is missing is what a crash took before its batch was written.
type DecisionLog struct {
	options LogOptions
	reads   atomic.Int64

	mu      sync.RWMutex
	queues  map[string]*logQueue
	closed  bool
	taken   sync.WaitGroup // places that are neither filled nor left
	writing sync.WaitGroup
	stop    context.CancelFunc
	context context.Context
}

// logQueue is what waits to be written of a tenant. Whoever has one of its places fills it without waiting.
type logQueue struct {
	places  chan struct{}
	entries chan store.Decision
}

// logPlace is a place in the log before it is known what for; nil where there is no log.
type logPlace struct {
	log   *DecisionLog
	queue *logQueue
	gone  bool
}

// NewDecisionLog makes a log that writes until it is closed.
func NewDecisionLog(options LogOptions) *DecisionLog {
	l := &DecisionLog{options: options, queues: make(map[string]*logQueue)}
	l.context, l.stop = context.WithCancel(context.Background())
	return l
}

// Close writes what waits, until ctx ends. No decision is taken any more.
func (l *DecisionLog) Close(ctx context.Context) error {
	l.mu.Lock()
	first := !l.closed
	l.closed = true
	l.mu.Unlock()
	defer l.stop()
	written := make(chan struct{})
	go func() {
		l.taken.Wait()
		for _, queue := range l.queues { // no further one begins
			if first {
				close(queue.entries)
			}
		}
		l.writing.Wait()
		close(written)
	}()
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
	place, err := l.take(ctx, tenant)
	if err != nil {
		return err
	}
	place.fill(d)
	return nil
}

// take takes a place, or refuses where there is none in time. It has to be filled or left.
func (l *DecisionLog) take(ctx context.Context, tenant string) (*logPlace, error) {
	queue := l.queue(tenant)
	if queue == nil {
		return nil, errUnlogged
	}
	place := &logPlace{log: l, queue: queue}
	select {
	case queue.places <- struct{}{}:
		return place, nil
	default:
	}
	patience := time.NewTimer(logPatience)
	defer patience.Stop()
	select {
	case queue.places <- struct{}{}:
		return place, nil
	case <-patience.C:
	case <-ctx.Done():
	}
	l.taken.Done()
	return nil, errUnlogged
}

// queue is the tenant's, counted as one in which a place is taken; nil where the log is closed.
func (l *DecisionLog) queue(tenant string) *logQueue {
	l.mu.RLock()
	queue, closed := l.queues[tenant], l.closed
	if queue == nil && !closed {
		l.mu.RUnlock()
		l.begin(tenant)
		l.mu.RLock()
		queue, closed = l.queues[tenant], l.closed
	}
	defer l.mu.RUnlock()
	if closed {
		return nil
	}
	l.taken.Add(1) // not after it was closed, and so never while that waits
	return queue
}

// fill logs a decision in the place.
func (p *logPlace) fill(d store.Decision) {
	if p == nil || p.gone {
		return
	}
	p.gone = true
	p.queue.entries <- d // which has room for as many as there are places
	p.log.taken.Done()
}

// leave gives the place back where it was not filled: nothing was made.
func (p *logPlace) leave() {
	if p == nil || p.gone {
		return
	}
	p.gone = true
	<-p.queue.places
	p.log.taken.Done()
}

func (l *DecisionLog) begin(tenant string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.queues[tenant] != nil {
		return
	}
	queue := &logQueue{make(chan struct{}, queued), make(chan store.Decision, queued)}
	l.queues[tenant] = queue
	l.writing.Go(func() { l.write(tenant, queue) })
}

// write writes batches: what came while the one before was written.
func (l *DecisionLog) write(tenant string, queue *logQueue) {
	for first := range queue.entries {
		batch := append(make([]store.Decision, 0, batched), first)
		for len(batch) < batched && len(queue.entries) > 0 {
			d, more := <-queue.entries
			if !more {
				break
			}
			batch = append(batch, d)
		}
		for range batch {
			<-queue.places
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

// placeInLog takes the place of what is about to be made: what could not be logged is not made.
func (a *asked) placeInLog() (*logPlace, error) {
	if a.options.Log == nil {
		return nil, nil
	}
	if _, err := a.now(); err != nil {
		return nil, err
	}
	return a.options.Log.take(a.http.Context(), a.tenant)
}

// logMade logs what a person has made, ended, answered or used up; the reason says which.
func (a *asked) logMade(place *logPlace, request *access.Request, reason string) {
	a.fillPlace(place, request, access.Allow, reason)
}

// logRefusedUse logs that what was allowed had been used up meanwhile.
func (a *asked) logRefusedUse(place *logPlace, q *question) {
	a.fillPlace(place, &q.request, access.Deny, reasonUsedUp)
}

func (a *asked) fillPlace(place *logPlace, request *access.Request, effect access.Effect, reason string) {
	d := a.entry(request, a.instantNow) // which is known since the place was taken
	d.Effect, d.Reasons = effect.String(), []string{reason}
	place.fill(d)
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
