package decisionapi

import (
	"net/http"
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
func (h *handler) metadata(r *http.Request) (any, error) {
	name := strings.TrimPrefix(r.URL.Path, pathMetadata)
	named, hasSlash := strings.CutPrefix(name, "/")
	if (name != "" && !hasSlash) || (hasSlash && named == "") {
		return nil, refuse(http.StatusNotFound, "nothing is served here: ask at %s", pathMetadata)
	}
	if _, err := h.tenant(named); err != nil {
		return nil, err
	}
	if err := hasMethod(r, http.MethodGet); err != nil {
		return nil, err
	}
	base := strings.TrimSuffix(h.options.BaseURL, "/") + name
	m := &Metadata{
		DecisionPoint: base, Evaluation: base + pathEvaluation, Evaluations: base + pathEvaluations,
		SearchSubject: base + pathSearchSubject, SearchAction: base + pathSearchAction,
	}
	if _, knows := h.source.(RecordSource); knows {
		m.SearchResource = base + pathSearchResource
	}
	return m, nil
}
