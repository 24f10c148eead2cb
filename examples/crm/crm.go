package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// crm is a CRM of one table. It asks the decision API before it shows or does anything, and knows no rule of its own.
type crm struct {
	db  *pgxpool.Pool
	api string // the decision API, up to /access/v1
}

const schema = `CREATE TABLE customer (id text PRIMARY KEY, name text, owner text, department text, phone text, credit text);
INSERT INTO customer VALUES
	('c1', 'Huaxin', 'li-ting', 'sales', '13800001111', '500000'),
	('c2', 'Ruifeng', 'wang-lei', 'sales', '13900002222', '80000'),
	('c3', 'Bolan', 'wang-lei', 'sales', '13700003333', '120000')`

// customer is a row: what decides about it (owner, department), and what is shown of it.
type customer struct{ id, name, owner, department, phone, credit string }

// decision is a reply of the decision API, as far as this CRM reads it.
type decision struct {
	Decision bool
	Context  struct {
		Fields      map[string]string
		Reasons     []string
		Obligations []struct{ Approvers []string }
	}
	SQL struct {
		Where      string
		Parameters [][]string
	}
}

func (c *crm) routes() http.Handler {
	routes := http.NewServeMux()
	routes.HandleFunc("GET /customers", c.list)
	routes.HandleFunc("GET /customers/{id}", c.detail)
	routes.HandleFunc("POST /customers/export", c.export)
	routes.HandleFunc("POST /customers/{id}/transfer", c.transfer)
	routes.HandleFunc("POST /customers/{id}/approve", c.approve)
	return routes
}

// list shows the customers that may be read: the filter becomes part of the statement, so that pages and counts are right.
func (c *crm) list(w http.ResponseWriter, r *http.Request) {
	var d decision
	if c.ask(w, r, http.MethodPost, "/v1/filter", question(r, "read", nil, nil), &d) != nil {
		return
	}
	if !d.Decision {
		d.SQL.Where = "FALSE"
	}
	arguments := make([]any, len(d.SQL.Parameters))
	for i, values := range d.SQL.Parameters {
		arguments[i] = values
	}
	rows, _ := c.db.Query(r.Context(), "SELECT id, name, owner FROM customer WHERE "+d.SQL.Where+" ORDER BY id", arguments...)
	list, err := pgx.CollectRows(rows, pgx.RowToMap)
	reply(w, http.StatusOK, list, err)
}

// detail shows one customer, each field as far as its level goes. Who may not read it is told no more than if it were not there.
func (c *crm) detail(w http.ResponseWriter, r *http.Request) {
	var d decision
	found := c.find(r)
	if c.ask(w, r, http.MethodPost, "/access/v1/evaluation", question(r, "read", found, map[string]any{"fields": []string{"name", "owner", "phone", "credit"}}), &d) != nil {
		return
	}
	if !d.Decision {
		http.Error(w, "there is no such customer", http.StatusNotFound)
		return
	}
	shown := map[string]string{"id": found.id}
	for field, value := range map[string]string{"name": found.name, "owner": found.owner, "phone": found.phone, "credit": found.credit} {
		switch d.Context.Fields[field] {
		case "masked":
			shown[field] = value[:3] + "****" + value[len(value)-4:]
		case "read", "edit":
			shown[field] = value
		}
	}
	reply(w, http.StatusOK, shown, nil)
}

// export says how many rows it is about: guardrails count them.
func (c *crm) export(w http.ResponseWriter, r *http.Request) {
	var d decision
	var count int64
	if err := c.db.QueryRow(r.Context(), "SELECT count(*) FROM customer").Scan(&count); err != nil {
		reply(w, 0, nil, err)
		return
	}
	if c.ask(w, r, http.MethodPost, "/access/v1/evaluation", question(r, "export", nil, map[string]any{"rows": count, "explain": true}), &d) != nil {
		return
	}
	if !d.Decision {
		reply(w, http.StatusForbidden, map[string]any{"refused": d.Context.Reasons}, nil)
		return
	}
	c.list(w, r)
}

// transfer gives a customer to somebody else: at once, or when those have approved who must. /v1/usage decides and uses the
// approval up in one step, so that it counts once.
func (c *crm) transfer(w http.ResponseWriter, r *http.Request) {
	found, to := c.find(r), r.FormValue("to")
	asked, err := c.requests(w, r, "subject", found.id)
	if err != nil {
		return
	}
	about := question(r, "transfer", found, map[string]any{"target": map[string]string{"user": to}, "approval": asked})
	var d decision
	if c.ask(w, r, http.MethodPost, "/v1/usage", about, &d) != nil {
		return
	}
	switch {
	case d.Decision:
		_, err := c.db.Exec(r.Context(), "UPDATE customer SET owner = $1 WHERE id = $2", to, found.id)
		reply(w, http.StatusOK, map[string]string{"transferred": found.id, "to": to}, err)
	case len(d.Context.Obligations) == 0:
		http.Error(w, "you may not transfer this customer", http.StatusForbidden)
	case len(asked) > 0 || c.ask(w, r, http.MethodPost, "/access/v1/requests", about, &struct{}{}) == nil:
		reply(w, http.StatusAccepted, map[string]any{"waits for": d.Context.Obligations[0].Approvers}, nil)
	}
}

// approve says yes to whoever asked to transfer the customer, if it is theirs to say.
func (c *crm) approve(w http.ResponseWriter, r *http.Request) {
	waiting, err := c.requests(w, r, "approver", r.PathValue("id"))
	if err != nil {
		return
	}
	for _, id := range waiting {
		if c.ask(w, r, http.MethodPost, "/access/v1/requests/"+id+"/answers", map[string]any{"decision": true}, &struct{}{}) != nil {
			return
		}
	}
	reply(w, http.StatusOK, map[string]int{"approved": len(waiting)}, nil)
}

// requests are those about a customer that are open: a person's own, or those that they may answer.
func (c *crm) requests(w http.ResponseWriter, r *http.Request, role, id string) (ids []string, err error) {
	var all struct {
		Requests []struct {
			ID, State string
			Resource  struct{ ID string }
		}
	}
	err = c.ask(w, r, http.MethodGet, "/access/v1/requests?role="+role, nil, &all)
	for _, request := range all.Requests {
		if request.State == "open" && request.Resource.ID == id {
			ids = append(ids, request.ID)
		}
	}
	return ids, err
}

// find reads the customer that the path names. One that is not there has no facts, and nobody may do anything to it.
func (c *crm) find(r *http.Request) *customer {
	found := &customer{id: r.PathValue("id")}
	row := c.db.QueryRow(r.Context(), "SELECT name, owner, department, phone, credit FROM customer WHERE id = $1", found.id)
	_ = row.Scan(&found.name, &found.owner, &found.department, &found.phone, &found.credit)
	return found
}

// question asks for whoever is logged in. In this example that is who the query says; yours has sessions.
func question(r *http.Request, action string, about *customer, context map[string]any) map[string]any {
	resource := map[string]any{"type": "customer", "id": ""}
	if about != nil {
		resource = map[string]any{"type": "customer", "id": about.id, "properties": map[string]string{"owner": about.owner, "department": about.department}}
	}
	return map[string]any{
		"subject": map[string]string{"type": "user", "id": r.FormValue("as")}, "action": map[string]string{"name": action},
		"resource": resource, "context": context,
	}
}

// ask puts a question to the decision API, for the person who is logged in. Without an answer nothing is shown or done.
func (c *crm) ask(w http.ResponseWriter, r *http.Request, method, path string, question, answer any) error {
	err := c.exchange(r, method, path, question, answer)
	if err != nil {
		http.Error(w, "cannot decide: "+err.Error(), http.StatusServiceUnavailable)
	}
	return err
}

func (c *crm) exchange(r *http.Request, method, path string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(r.Context(), method, c.api+path, bytes.NewReader(body)) //nolint:gosec // the API is ours, and so are its ids
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-CRM-Access-Subject", r.FormValue("as")) // offline the name; elsewhere a token that your login minted
	response, err := http.DefaultClient.Do(request)               //nolint:gosec // as above
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("the decision API answers %s", response.Status)
	}
	return json.NewDecoder(response.Body).Decode(answer)
}

func reply(w http.ResponseWriter, status int, body any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(body)
}
