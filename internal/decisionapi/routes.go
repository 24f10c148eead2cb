package decisionapi

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// The paths below a tenant's.
const (
	pathEvaluation     = "/access/v1/evaluation"
	pathEvaluations    = "/access/v1/evaluations"
	pathSearchSubject  = "/access/v1/search/subject"
	pathSearchResource = "/access/v1/search/resource"
	pathSearchAction   = "/access/v1/search/action"
	pathFilter         = "/v1/filter"
	pathRequests       = "/access/v1/requests"
	pathAnswers        = "/access/v1/requests/{id}/answers"
	pathShares         = "/v1/shares"
	pathShare          = "/v1/shares/{id}"
	pathUsage          = "/v1/usage"
	pathSelf           = "/v1/me"
	pathMetadata       = "/.well-known/authzen-configuration"
)

// endpoint answers a method at a path below a tenant's; {id} in the path stands for one part of it.
type endpoint struct {
	method, path string
	answer       func(*asked) (any, error)
}

// endpoints are all that is served of a tenant.
var endpoints = []endpoint{
	{http.MethodPost, pathEvaluation, (*asked).evaluation},
	{http.MethodPost, pathEvaluations, (*asked).evaluations},
	{http.MethodPost, pathSearchSubject, (*asked).searchSubjects},
	{http.MethodPost, pathSearchResource, (*asked).searchResources},
	{http.MethodPost, pathSearchAction, (*asked).searchActions},
	{http.MethodPost, pathFilter, (*asked).filter},
	{http.MethodPost, pathRequests, (*asked).ask},
	{http.MethodGet, pathRequests, (*asked).listRequests},
	{http.MethodPost, pathAnswers, (*asked).answerRequest},
	{http.MethodPost, pathShares, (*asked).makeShare},
	{http.MethodGet, pathShares, (*asked).listShares},
	{http.MethodDelete, pathShare, (*asked).endShare},
	{http.MethodPost, pathUsage, (*asked).use},
	{http.MethodGet, pathSelf, (*asked).self},
}

var served = newRoutes(endpoints)

// methods are what answers at one path.
type methods map[string]func(*asked) (any, error)

// routes finds the endpoints of a path.
type routes struct {
	exact map[string]methods
	// open are the paths with an {id}.
	open []openRoute
}

type openRoute struct {
	before, after string
	methods       methods
}

// route is where a path leads: to a tenant, "" where it names none.
type route struct {
	tenant, id string
	methods    methods
}

func newRoutes(endpoints []endpoint) *routes {
	r := &routes{exact: make(map[string]methods)}
	for _, e := range endpoints {
		if r.exact[e.path] == nil {
			r.exact[e.path] = make(methods)
		}
		r.exact[e.path][e.method] = e.answer
	}
	for path, answers := range r.exact {
		if before, after, open := strings.Cut(path, "{id}"); open {
			r.open = append(r.open, openRoute{before, after, answers})
			delete(r.exact, path)
		}
	}
	return r
}

// find reads a path: first as one without tenant, then as one with.
func (r *routes) find(path string) (route, bool) {
	if found, id, ok := r.below(path); ok {
		return route{"", id, found}, true
	}
	slash := strings.IndexByte(strings.TrimPrefix(path, "/"), '/')
	if slash < 1 {
		return route{}, false
	}
	found, id, ok := r.below(path[slash+1:])
	return route{path[1 : slash+1], id, found}, ok
}

func (r *routes) below(path string) (found methods, id string, ok bool) {
	if found, ok = r.exact[path]; ok {
		return found, "", true
	}
	for _, o := range r.open {
		rest, begins := strings.CutPrefix(path, o.before)
		id, ends := strings.CutSuffix(rest, o.after)
		if begins && ends && id != "" && !strings.Contains(id, "/") {
			return o.methods, id, true
		}
	}
	return nil, "", false
}

func (m methods) refuse(method string) error {
	allowed := strings.Join(slices.Sorted(maps.Keys(m)), ", ")
	return &refusal{status: http.StatusMethodNotAllowed, what: fmt.Sprintf("method %s: ask with %s", shown(method), allowed), allow: allowed}
}
