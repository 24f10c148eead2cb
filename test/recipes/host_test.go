package recipes

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// comment is one in a pull request.
type comment struct {
	ID   int    `json:"id"`
	Body string `json:"body"`
	User struct {
		Login string `json:"login"`
	} `json:"user"`
	Author struct {
		ID int `json:"id"`
	} `json:"author"`
}

// host keeps the comments of one pull request, as GitHub and as GitLab do. Who asks without the token is refused.
type host struct {
	*httptest.Server
	mu       sync.Mutex
	comments []comment
	refused  int
}

const (
	token = "t0ken"
	bot   = "github-actions[bot]"
	botID = 42
)

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /repos/o/r/issues/7/comments", h.list)
	mux.HandleFunc("POST /repos/o/r/issues/7/comments", h.create)
	mux.HandleFunc("PATCH /repos/o/r/issues/comments/{id}", h.change)
	mux.HandleFunc("GET /api/v4/projects/5/merge_requests/7/notes", h.list)
	mux.HandleFunc("POST /api/v4/projects/5/merge_requests/7/notes", h.create)
	mux.HandleFunc("PUT /api/v4/projects/5/merge_requests/7/notes/{id}", h.change)
	mux.HandleFunc("GET /api/v4/user", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"id": %d}`, botID) })
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if r.Header.Get("Authorization") != "Bearer "+token && r.Header.Get("PRIVATE-TOKEN") != token {
			h.refused++
			http.Error(w, `{"message": "Bad credentials"}`, http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(h.Close)
	return h
}

// say puts somebody's comment there.
func (h *host) say(login string, id int, body string) {
	c := comment{ID: 1000 + len(h.comments), Body: body}
	c.User.Login, c.Author.ID = login, id
	h.comments = append(h.comments, c)
}

func (h *host) list(w http.ResponseWriter, r *http.Request) {
	page, _ := strconv.Atoi(r.FormValue("page"))
	size, _ := strconv.Atoi(r.FormValue("per_page"))
	from := min((page-1)*size, len(h.comments))
	shown := append([]comment{}, h.comments[from:min(from+size, len(h.comments))]...)
	_ = json.NewEncoder(w).Encode(shown)
}

func (h *host) create(w http.ResponseWriter, r *http.Request) {
	var c comment
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil || c.Body == "" {
		http.Error(w, "no body", http.StatusUnprocessableEntity)
		return
	}
	h.say(bot, botID, c.Body)
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write([]byte("{}"))
}

func (h *host) change(w http.ResponseWriter, r *http.Request) {
	var c comment
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil || c.Body == "" {
		http.Error(w, "no body", http.StatusUnprocessableEntity)
		return
	}
	for i := range h.comments {
		if strconv.Itoa(h.comments[i].ID) == r.PathValue("id") {
			h.comments[i].Body = c.Body
			_, _ = w.Write([]byte("{}"))
			return
		}
	}
	http.NotFound(w, r)
}

// ours are the comments of the bot.
func (h *host) ours() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for _, c := range h.comments {
		if c.User.Login == bot && strings.HasPrefix(c.Body, "<!-- kubectl-crmaccess-plan -->\n") {
			out = append(out, c.Body)
		}
	}
	return out
}
