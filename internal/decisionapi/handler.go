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
	evaluationPath = "/access/v1/evaluation"
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
}

// New answers POST /{namespace}/access/v1/evaluation, and POST /access/v1/evaluation where one tenant is served.
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
}

func (r *refusal) Error() string { return r.what }

func refuse(status int, format string, args ...any) error {
	return &refusal{status, fmt.Sprintf(format, args...)}
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
	}
	switch status {
	case http.StatusMethodNotAllowed:
		header.Set("Allow", http.MethodPost)
	case http.StatusServiceUnavailable:
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

func (h *handler) answer(header http.Header, w http.ResponseWriter, r *http.Request) (*Reply, error) {
	tenant, err := h.tenant(r.URL.Path)
	if err != nil {
		return nil, err
	}
	if r.Method != http.MethodPost {
		return nil, refuse(http.StatusMethodNotAllowed, "method %s: ask with POST", shown(r.Method))
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
	content, err := read(w, r)
	if err != nil {
		return nil, err
	}
	snapshot, ok := h.source.Snapshot(tenant)
	if !ok || snapshot.Policy == nil {
		return nil, refuse(http.StatusServiceUnavailable, "the access of tenant %s has not been read yet: ask again soon", shown(tenant))
	}
	q, err := readQuestion(snapshot.Policy, content, h.options)
	if err != nil {
		return nil, err
	}
	now, err := instant(snapshot, q)
	if err != nil {
		return nil, err
	}
	header.Set(HeaderRevision, snapshot.Revision)
	header.Set(HeaderDecisionID, h.options.NewID())
	header.Set(HeaderTime, now.String())
	return q.answer(snapshot.Policy, now), nil
}

// tenant is the one that the path names, or the only one.
func (h *handler) tenant(path string) (string, error) {
	name, ok := strings.CutSuffix(path, evaluationPath)
	name, hasSlash := strings.CutPrefix(name, "/")
	if !ok || strings.Contains(name, "/") || (hasSlash && name == "") {
		return "", refuse(http.StatusNotFound, "nothing is served here: ask at /NAMESPACE%s", evaluationPath)
	}
	tenants := h.source.Tenants()
	if name == "" {
		if len(tenants) != 1 {
			return "", refuse(http.StatusNotFound, "%d tenants are served: ask at /NAMESPACE%s", len(tenants), evaluationPath)
		}
		return tenants[0], nil
	}
	if slices.Contains(tenants, name) {
		return name, nil
	}
	return "", refuse(http.StatusNotFound, "no tenant %s is served here", shown(name))
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

// instant is the one that the question brings, where that is honoured, or the store's time.
func instant(snapshot Snapshot, q *question) (schedule.Instant, error) {
	if q.at != nil {
		return *q.at, nil
	}
	now, err := snapshot.Now()
	if err != nil {
		return 0, refuse(http.StatusServiceUnavailable, "cannot decide now: %v", err)
	}
	return now, nil
}

// answer decides, and tells as much as was asked.
func (q *question) answer(policy *access.Policy, now schedule.Instant) *Reply {
	effect, levels := access.Deny, make([]access.Level, len(q.request.Fields))
	var obligations []access.Obligation
	var context ReplyContext
	switch {
	case q.subjectType != subjectUser:
		if q.explain {
			context.Reasons = []string{fmt.Sprintf("unknown subject type %s; it has user", shown(q.subjectType))}
			context.Causes = []Cause{{Text: context.Reasons[0]}}
		}
	case q.explain:
		explanation := policy.Explain(now, &q.request)
		effect, levels, obligations = explanation.Effect, explanation.Levels, explanation.Obligations
		context.explain(policy, now, &q.request, explanation)
	default:
		if effect = policy.Decide(now, &q.request, levels); effect == access.NeedsApproval {
			obligations = policy.Explain(now, &q.request).Obligations
		}
	}
	for _, o := range obligations {
		context.Obligations = append(context.Obligations, Obligation{Type: ObligationApproval, Approvers: o.Approvers, Guardrail: o.Guardrail})
	}
	if len(q.request.Fields) > 0 {
		context.Fields = make(map[string]string, len(levels))
		for i, name := range q.request.Fields {
			context.Fields[name] = levels[i].String()
		}
	}
	reply := &Reply{Decision: effect == access.Allow}
	if q.explain || len(context.Fields) > 0 || len(context.Obligations) > 0 {
		reply.Context = &context
	}
	return reply
}

func (c *ReplyContext) explain(policy *access.Policy, now schedule.Instant, request *access.Request, e access.Explanation) {
	c.Causes = CausesOf(e)
	c.Reasons = make([]string, len(c.Causes))
	for i, cause := range c.Causes {
		c.Reasons[i] = cause.Text
	}
	if e.Effect == access.Deny {
		c.NearMisses = policy.NearMisses(now, request)
		c.NearestMiss = NearestMiss(e, c.NearMisses)
	}
}

// NearestMiss is the explanation's, or the first of the near misses where it has none.
func NearestMiss(e access.Explanation, near []string) string {
	if e.NearestMiss == "" && len(near) > 0 {
		return near[0]
	}
	return e.NearestMiss
}
