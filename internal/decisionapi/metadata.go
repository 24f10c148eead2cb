package decisionapi

import (
	"net/http"
	"slices"
	"strings"
)

// Metadata says where a decision point answers what (AuthZEN, section 9). What is not served is left out.
type Metadata struct {
	DecisionPoint  string `json:"policy_decision_point"`
	Evaluation     string `json:"access_evaluation_endpoint"`
	Evaluations    string `json:"access_evaluations_endpoint"`
	SearchSubject  string `json:"search_subject_endpoint"`
	SearchResource string `json:"search_resource_endpoint,omitempty"`
	SearchAction   string `json:"search_action_endpoint"`
}

// metadata answers GET /.well-known/authzen-configuration, and with /{namespace} behind it where several are served.
func (h *handler) metadata(caller *application, r *http.Request) (any, error) {
	name := strings.TrimPrefix(r.URL.Path, pathMetadata)
	named, hasSlash := strings.CutPrefix(name, "/")
	if (name != "" && !hasSlash) || (hasSlash && named == "") {
		return nil, refuse(http.StatusNotFound, "nothing is served here: ask at %s", pathMetadata)
	}
	tenant, err := h.servedTenant(caller, named)
	if err != nil {
		return nil, err
	}
	if r.Method != http.MethodGet {
		return nil, methods{http.MethodGet: nil}.refuse(r.Method)
	}
	base := strings.TrimSuffix(h.options.BaseURL, "/") + name
	m := &Metadata{
		DecisionPoint: base, Evaluation: base + pathEvaluation, Evaluations: base + pathEvaluations,
		SearchSubject: base + pathSearchSubject, SearchAction: base + pathSearchAction,
	}
	if snapshot, ok := h.source.Snapshot(tenant); ok && snapshot.Records != nil {
		m.SearchResource = base + pathSearchResource
	}
	return m, nil
}

// servedTenant is the one that is named, or the only one, if the caller may ask for it and there is one.
func (h *handler) servedTenant(caller *application, named string) (string, error) {
	tenant, err := h.tenant(caller, named)
	if err == nil && !slices.Contains(h.source.Tenants(), tenant) {
		err = refuse(http.StatusNotFound, "no tenant %s is served here", shown(tenant))
	}
	return tenant, err
}
