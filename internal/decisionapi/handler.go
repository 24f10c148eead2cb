package decisionapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// The headers that travel with a decision: equal questions get equal bodies, so what differs stands outside of them.
const (
	HeaderRequestID  = "X-Request-ID"
	HeaderRevision   = "X-CRM-Access-Revision"
	HeaderDecisionID = "X-CRM-Access-Decision-ID"
	// HeaderAge is how old the state was that the decision was made from, in whole seconds rounded up.
	HeaderAge = "X-CRM-Access-Age"
	// HeaderTime is the instant that the decision holds for.
	HeaderTime = "X-CRM-Access-Time"
)

// Options change how questions are answered.
type Options struct {
	// HonourTime makes context.time the instant of the decision: for tests and offline use only.
	HonourTime bool
	// NewID names a decision. Unset: a name that no other decision has.
	NewID func() string
	// BaseURL is where callers reach this API, for the metadata: never taken from what a caller sends.
	BaseURL string
	// Credentials say which applications may ask. Without, everybody may: then listen on loopback alone.
	Credentials *Credentials
	// Facts are where what people make while the CRM runs is kept. Without, it cannot be made, and no approval counts.
	Facts FactSource
	// BareSubject lets HeaderSubject bear the bare name of a person: for offline use and loopback only.
	BareSubject bool
	// Log, where there is one, keeps what was decided.
	Log *DecisionLog
}

// New answers the endpoints below /{namespace}, and without it where one tenant is served.
func New(source Source, options Options) http.Handler {
	if options.NewID == nil {
		options.NewID = newDecisionIDs().next
	}
	return &handler{source: source, options: options, large: make(chan struct{}, maxLarge)}
}

type handler struct {
	source  Source
	options Options
	// large has a place for each large body that may be in memory at the same time.
	large chan struct{}
	clock clockFace
}

// refusal is an answer that is no decision.
type refusal struct {
	status int
	what   string
	allow  string // the method to ask with, where it was another
}

func (r *refusal) Error() string { return r.what }

func refuse(status int, format string, args ...any) error {
	return &refusal{status: status, what: fmt.Sprintf(format, args...)}
}

// Header values that every answer has. They are shared: nobody may change them.
var (
	applicationJSON = []string{"application/json"}
	noStore         = []string{"no-store"} // no decision outlives the next boundary
)

// The headers in canonical form, which http.Header.Set would have to find out.
var (
	requestIDKey  = http.CanonicalHeaderKey(HeaderRequestID)
	revisionKey   = http.CanonicalHeaderKey(HeaderRevision)
	decisionIDKey = http.CanonicalHeaderKey(HeaderDecisionID)
	ageKey        = http.CanonicalHeaderKey(HeaderAge)
	timeKey       = http.CanonicalHeaderKey(HeaderTime)
)

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	if id := r.Header[requestIDKey]; len(id) > 0 {
		header[requestIDKey] = id[:1]
	}
	header["Cache-Control"] = noStore
	header["Content-Type"] = applicationJSON
	work := workspaces.Get().(*workspace)
	defer work.release()
	reply, err := h.answer(work, w, r)
	status := http.StatusOK
	if err != nil {
		reply, status = refusalOf(header, err)
	}
	if errors.Is(err, errUnauthorized) {
		header.Set("Connection", "close") // whoever has no credentials holds no connection
	}
	work.write(w, status, reply)
}

// refusalOf is the body of an answer that is no decision, with its status and headers.
func refusalOf(header http.Header, err error) (reply any, status int) {
	status = http.StatusBadRequest
	var refused *refusal
	if errors.As(err, &refused) {
		status = refused.status
		if refused.allow != "" {
			header.Set("Allow", refused.allow)
		}
	}
	switch status {
	case http.StatusServiceUnavailable:
		header.Set("Retry-After", "1")
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", challenge)
	}
	return map[string]string{"error": err.Error()}, status
}

// asked is one request for a tenant, with the policy and the instant that answer it. All of a request is answered from
// one state and at one instant. Once the answer is written, nothing of it may be used any more.
type asked struct {
	*handler
	tenant string
	// application is who asks, as the credentials name it; "" where none are asked for.
	application string
	// id is the part of the path that an endpoint leaves open.
	id       string
	http     *http.Request
	snapshot Snapshot
	policy   *access.Policy
	// body is what a POST brings; an endpoint reads it to its end before it answers.
	body *reader
	work *workspace

	// looked holds what was looked up of records, and asks counts what the stores were asked, for one request.
	looked map[recordKey]*access.Record
	asks   int

	instantKnown bool
	instantNow   schedule.Instant
	instantFault error
}

func (h *handler) answer(work *workspace, w http.ResponseWriter, r *http.Request) (any, error) {
	caller, err := h.options.Credentials.identify(r)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(r.URL.Path, pathMetadata) {
		return h.metadata(caller, r)
	}
	route, ok := served.find(r.URL.Path)
	if !ok {
		return nil, refuse(http.StatusNotFound, "nothing is served here: ask at /NAMESPACE%s", pathEvaluation)
	}
	tenant, err := h.tenant(caller, route.tenant)
	if err != nil {
		return nil, err
	}
	answer, ok := route.methods[r.Method]
	if !ok {
		return nil, route.methods.refuse(r.Method)
	}
	a := &work.asked
	a.handler, a.tenant, a.application, a.id, a.http, a.work = h, tenant, caller.name(), route.id, r, work
	if r.Method == http.MethodPost {
		if err := a.readBody(w); err != nil {
			return nil, err
		}
	}
	if a.snapshot, err = h.snapshot(tenant); err != nil {
		return nil, err
	}
	a.policy = a.snapshot.Policy
	if a.snapshot.Records != nil || h.options.Facts != nil { // nothing else can take long
		within, cancel := context.WithTimeout(r.Context(), patience)
		defer cancel()
		a.http = r.WithContext(within)
	}
	reply, err := answer(a)
	if err != nil {
		return nil, err
	}
	a.sign(w.Header())
	return reply, nil
}

// sign sets the headers that say what the answer was made from. The values share one piece of memory.
func (a *asked) sign(header http.Header) {
	values := [4]string{a.snapshot.Revision, a.options.NewID()}
	all := values[:]
	header[revisionKey], header[decisionIDKey] = all[0:1:1], all[1:2:2]
	if a.snapshot.Age != nil {
		all[2] = strconv.FormatInt(int64((a.snapshot.Age()+time.Second-1)/time.Second), 10)
		header[ageKey] = all[2:3:3]
	}
	if now, err := a.now(); err == nil {
		all[3] = a.clock.show(now)
		header[timeKey] = all[3:4:4]
	}
}

// now is the store's time, read once.
func (a *asked) now() (schedule.Instant, error) {
	if !a.instantKnown {
		a.instantKnown = true
		var err error
		if a.instantNow, err = a.snapshot.Now(); err != nil {
			a.instantFault = refuse(http.StatusServiceUnavailable, "cannot decide now: %v", err)
		}
	}
	return a.instantNow, a.instantFault
}

// tenant is the one that is named, or the only one that the caller may ask for.
func (h *handler) tenant(caller *application, name string) (string, error) {
	if name != "" {
		if !caller.mayAsk(name) {
			return "", refuse(http.StatusForbidden, "%s may not ask for tenant %s", caller.name(), shown(name))
		}
		return name, nil
	}
	if only := caller.onlyTenant(); only != "" {
		return only, nil
	}
	tenants := h.source.Tenants()
	if len(tenants) == 1 && caller.mayAsk(tenants[0]) {
		return tenants[0], nil
	}
	return "", refuse(http.StatusNotFound, "several tenants are served: ask at /NAMESPACE%s", pathEvaluation)
}

// snapshot is the state that answers for a tenant.
func (h *handler) snapshot(tenant string) (Snapshot, error) {
	snapshot, ok := h.source.Snapshot(tenant)
	switch {
	case ok && snapshot.Policy != nil:
		return snapshot, nil
	case ok || slices.Contains(h.source.Tenants(), tenant):
		return Snapshot{}, refuse(http.StatusServiceUnavailable, "the access of tenant %s has not been read yet: ask again soon", shown(tenant))
	}
	return Snapshot{}, refuse(http.StatusNotFound, "no tenant %s is served here", shown(tenant))
}
