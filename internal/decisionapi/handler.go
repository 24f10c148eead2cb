package decisionapi

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
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

const (
	// maxAtOnce bounds how many requests hold a body in memory at the same time; further ones wait.
	maxAtOnce = 64
	// maxRequestID is the longest request id that is sent back.
	maxRequestID = 256
)

// Options change how questions are answered.
type Options struct {
	// HonourTime makes context.time the instant of the decision: for tests and offline use only.
	HonourTime bool
	// NewID names a decision. Unset: a random name.
	NewID func() string
	// BaseURL is where callers reach this API, for the metadata: never taken from what a caller sends.
	BaseURL string
}

// New answers the AuthZEN endpoints below /{namespace}, and without it where one tenant is served.
func New(source Source, options Options) http.Handler {
	if options.NewID == nil {
		options.NewID = rand.Text
	}
	return &handler{source: source, options: options, slots: make(chan struct{}, maxAtOnce)}
}

type handler struct {
	source  Source
	options Options
	slots   chan struct{}
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

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	if id := r.Header.Get(HeaderRequestID); id != "" && len(id) <= maxRequestID {
		header.Set(HeaderRequestID, id)
	}
	header.Set("Cache-Control", "no-store") // no decision outlives the next boundary
	header.Set("X-Content-Type-Options", "nosniff")
	reply, err := h.answer(header, w, r)
	if err == nil {
		write(w, http.StatusOK, reply)
		return
	}
	status := http.StatusBadRequest
	var refused *refusal
	if errors.As(err, &refused) {
		status = refused.status
		if refused.allow != "" {
			header.Set("Allow", refused.allow)
		}
	}
	if status == http.StatusServiceUnavailable {
		header.Set("Retry-After", "1")
	}
	write(w, status, map[string]string{"error": err.Error()})
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(body) // who asked has gone away: there is nobody left to tell
}

// asked is one request for a tenant, with the policy and the instant that answer it. All of a request is answered from
// one state and at one instant.
type asked struct {
	*handler
	tenant string
	// id is the part of the path that an endpoint leaves open.
	id     string
	http   *http.Request
	policy *access.Policy
	// body is what a POST brings; an endpoint reads it to its end before it answers.
	body *reader
	now  func() (schedule.Instant, error)
}

func (h *handler) answer(header http.Header, w http.ResponseWriter, r *http.Request) (any, error) {
	if strings.HasPrefix(r.URL.Path, pathMetadata) {
		return h.metadata(r)
	}
	route, ok := served.find(r.URL.Path)
	if !ok {
		return nil, refuse(http.StatusNotFound, "nothing is served here: ask at /NAMESPACE%s", pathEvaluation)
	}
	tenant, err := h.tenant(route.tenant)
	if err != nil {
		return nil, err
	}
	answer, ok := route.methods[r.Method]
	if !ok {
		return nil, route.methods.refuse(r.Method)
	}
	a := &asked{handler: h, tenant: tenant, id: route.id, http: r}
	if r.Method == http.MethodPost {
		release, err := a.readBody(w)
		defer release()
		if err != nil {
			return nil, err
		}
	}
	snapshot, ok := h.source.Snapshot(tenant)
	if !ok || snapshot.Policy == nil {
		return nil, refuse(http.StatusServiceUnavailable, "the access of tenant %s has not been read yet: ask again soon", shown(tenant))
	}
	a.policy, a.now = snapshot.Policy, storeTime(snapshot)
	reply, err := answer(a)
	if err != nil {
		return nil, err
	}
	header.Set(HeaderRevision, snapshot.Revision)
	header.Set(HeaderDecisionID, h.options.NewID())
	if snapshot.Age != nil {
		header.Set(HeaderAge, strconv.FormatInt(int64((snapshot.Age()+time.Second-1)/time.Second), 10))
	}
	if now, err := a.now(); err == nil {
		header.Set(HeaderTime, now.String())
	}
	return reply, nil
}

// readBody reads the body of the request, for the endpoint to read what is in it. release lets the next request have its
// place; nothing of a.body may be used afterwards.
func (a *asked) readBody(w http.ResponseWriter) (release func(), err error) {
	r := a.http
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return func() {}, refuse(http.StatusBadRequest, "content type %s: send application/json", shown(r.Header.Get("Content-Type")))
	}
	select {
	case a.slots <- struct{}{}:
		release = func() { <-a.slots }
	case <-r.Context().Done():
		return func() {}, refuse(http.StatusServiceUnavailable, "too many questions at once")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return release, refuse(http.StatusBadRequest, "the body is larger than %d MiB", MaxBody>>20)
	case err != nil:
		return release, refuse(http.StatusBadRequest, "the body could not be read to its end")
	}
	a.body = new(reader)
	a.body.begin(body)
	return release, nil
}

func hasMethod(r *http.Request, method string) error {
	if r.Method == method {
		return nil
	}
	return &refusal{status: http.StatusMethodNotAllowed, what: fmt.Sprintf("method %s: ask with %s", shown(r.Method), method), allow: method}
}

// tenant is the one that is named, or the only one.
func (h *handler) tenant(name string) (string, error) {
	tenants := h.source.Tenants()
	switch {
	case name == "" && len(tenants) == 1:
		return tenants[0], nil
	case name == "":
		return "", refuse(http.StatusNotFound, "%d tenants are served: ask at /NAMESPACE%s", len(tenants), pathEvaluation)
	case slices.Contains(tenants, name):
		return name, nil
	}
	return "", refuse(http.StatusNotFound, "no tenant %s is served here", shown(name))
}

// storeTime is the store's time, read once.
func storeTime(snapshot Snapshot) func() (schedule.Instant, error) {
	return sync.OnceValues(func() (schedule.Instant, error) {
		now, err := snapshot.Now()
		if err != nil {
			return 0, refuse(http.StatusServiceUnavailable, "cannot decide now: %v", err)
		}
		return now, nil
	})
}
