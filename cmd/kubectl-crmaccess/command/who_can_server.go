package command

import (
	"context"
	"fmt"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/decisionapi"
)

// explainedPage is how many users are found, and then explained, at a time.
const explainedPage = 100

// subjectSearch asks who may.
type subjectSearch struct {
	*evaluation
	Page searchPage `json:"page"`
}

type searchPage struct {
	Limit int    `json:"limit,omitempty"`
	Token string `json:"token,omitempty"`
}

// explanations asks the same of several users.
type explanations struct {
	*evaluation
	Subject     *named    `json:"subject,omitempty"` // each has its own
	Evaluations []subject `json:"evaluations"`
}

type subject struct {
	Subject named `json:"subject"`
}

// holders asks who may, and of each why. A server searches for those who may at once, and not for whom an approval would let.
func (s *serverAsker) holders(ctx context.Context, q *canQuestion) ([]holder, error) {
	body, err := s.body(q)
	if err != nil {
		return nil, err
	}
	body.Subject = named{Type: "user"}
	printLine(s.notes, "note: a server lists who may at once; whether an approval would let somebody, ask it with can, or answer from manifests with -f DIR")
	holders := []holder{}
	for page := (searchPage{Limit: explainedPage}); ; {
		var found decisionapi.Found
		header, err := s.post(ctx, q.namespace, "access/v1/search/subject", subjectSearch{body, page}, &found)
		if err != nil {
			return nil, err
		}
		if _, err := s.instantOf(q, header); err != nil {
			return nil, err
		}
		explained, err := s.explain(ctx, q, body, found.Results)
		if err != nil {
			return nil, err
		}
		holders = append(holders, explained...)
		if found.Page.NextToken == "" {
			return holders, nil
		}
		page = searchPage{Token: found.Page.NextToken}
	}
}

// explain asks why these users may. Who no longer may is left out.
func (s *serverAsker) explain(ctx context.Context, q *canQuestion, body *evaluation, users []map[string]any) (holders []holder, err error) {
	if len(users) == 0 {
		return nil, nil
	}
	asked := explanations{evaluation: body}
	for _, user := range users {
		id, _ := user["id"].(string)
		asked.Evaluations = append(asked.Evaluations, subject{named{Type: "user", ID: id}})
	}
	var replies struct {
		Evaluations []decisionapi.Reply `json:"evaluations"`
	}
	header, err := s.post(ctx, q.namespace, "access/v1/evaluations", asked, &replies)
	if err != nil {
		return nil, err
	}
	if len(replies.Evaluations) != len(asked.Evaluations) {
		return nil, fmt.Errorf("%s answers %d of %d questions: this is not a decision API; check --server", s.address, len(replies.Evaluations), len(asked.Evaluations))
	}
	at, err := s.instantOf(q, header)
	if err != nil {
		return nil, err
	}
	for i := range replies.Evaluations {
		reply := &replies.Evaluations[i]
		if reply.Context == nil || reply.Context.Error != nil {
			return nil, fmt.Errorf("%s gives no reasons: this is not a decision API; check --server", s.address)
		}
		a, err := s.answer(q, reply, at)
		if err != nil {
			return nil, err
		}
		if a.effect != access.Allow {
			continue
		}
		h := holder{User: asked.Evaluations[i].Subject.ID, Answer: a.effect.String(), Causes: reply.Context.Reasons}
		if q.field != "" {
			h.Level = a.level.String()
		}
		holders = append(holders, h)
	}
	return holders, nil
}
