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
	"strings"
	"sync"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// The headers that travel with a decision: equal questions get equal bodies, so what differs stands outside of them.
const (
	HeaderRequestID  = "X-Request-ID"
	HeaderRevision   = "X-CRM-Access-Revision"
	HeaderDecisionID = "X-CRM-Access-Decision-ID"
	// HeaderTime is the instant that the decision holds for.
	HeaderTime = "X-CRM-Access-Time"
)

const (
	// maxAtOnce bounds how many requests hold a body in memory at the same time; further ones wait.
	maxAtOnce = 64
	// maxRequestID is the longest request id that is sent back.
	maxRequestID = 256
)

// The paths below a tenant's.
const (
	pathEvaluation     = "/access/v1/evaluation"
	pathEvaluations    = "/access/v1/evaluations"
	pathSearchSubject  = "/access/v1/search/subject"
	pathSearchResource = "/access/v1/search/resource"
	pathSearchAction   = "/access/v1/search/action"
	pathFilter         = "/v1/filter"
	pathMetadata       = "/.well-known/authzen-configuration"
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
	policy *access.Policy
	body   map[string]any
	now    func() (schedule.Instant, error)
}

// endpoints are what can be asked with a body.
var endpoints = map[string]func(*asked) (any, error){
	pathEvaluation:     (*asked).evaluation,
	pathEvaluations:    (*asked).evaluations,
	pathSearchSubject:  (*asked).searchSubjects,
	pathSearchResource: (*asked).searchResources,
	pathSearchAction:   (*asked).searchActions,
	pathFilter:         (*asked).filter,
}

func (h *handler) answer(header http.Header, w http.ResponseWriter, r *http.Request) (any, error) {
	if strings.HasPrefix(r.URL.Path, pathMetadata) {
		return h.metadata(r)
	}
	answer, name, err := endpoint(r.URL.Path)
	if err != nil {
		return nil, err
	}
	tenant, err := h.tenant(name)
	if err != nil {
		return nil, err
	}
	if err := hasMethod(r, http.MethodPost); err != nil {
		return nil, err
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, refuse(http.StatusBadRequest, "content type %s: send application/json", shown(r.Header.Get("Content-Type")))
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-r.Context().Done():
		return nil, refuse(http.StatusServiceUnavailable, "too many questions at once")
	}
	body, err := read(w, r)
	if err != nil {
		return nil, err
	}
	snapshot, ok := h.source.Snapshot(tenant)
	if !ok || snapshot.Policy == nil {
		return nil, refuse(http.StatusServiceUnavailable, "the access of tenant %s has not been read yet: ask again soon", shown(tenant))
	}
	a := &asked{handler: h, tenant: tenant, policy: snapshot.Policy, body: body, now: storeTime(snapshot)}
	reply, err := answer(a)
	if err != nil {
		return nil, err
	}
	header.Set(HeaderRevision, snapshot.Revision)
	header.Set(HeaderDecisionID, h.options.NewID())
	if now, err := a.now(); err == nil {
		header.Set(HeaderTime, now.String())
	}
	return reply, nil
}

// endpoint is what a path asks, and of which namespace; empty where it names none.
func endpoint(path string) (answer func(*asked) (any, error), namespace string, err error) {
	for suffix, answer := range endpoints {
		before, ends := strings.CutSuffix(path, suffix)
		name, named := strings.CutPrefix(before, "/")
		if ends && (before == "" || named && name != "" && !strings.Contains(name, "/")) {
			return answer, name, nil
		}
	}
	return nil, "", refuse(http.StatusNotFound, "nothing is served here: ask at /NAMESPACE%s", pathEvaluation)
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

func read(w http.ResponseWriter, r *http.Request) (map[string]any, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, refuse(http.StatusBadRequest, "the body is larger than %d MiB", MaxBody>>20)
	}
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "the body could not be read to its end")
	}
	return decode(body)
}
