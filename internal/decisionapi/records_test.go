package decisionapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	. "github.com/crmaccess/crm-access-operator/internal/decisionapi"
)

func TestWhereARecordCannotBeLookedUpTheCallersWordDoesNotCount(t *testing.T) {
	const question = `{"subject":{"type":"user","id":"lina"},"action":{"name":"%s"},"resource":{"type":"customer","id":"c1","properties":{"owner":"lina"}}}`
	handler := New(archive{source: oneTenant(), fails: errors.New("away")}, fixedID)
	response := post(t, handler, "/access/v1/evaluation", fmt.Sprintf(question, "read"))
	if response.Code != http.StatusServiceUnavailable || response.Header().Get("Retry-After") == "" || strings.Contains(response.Body.String(), "away") {
		t.Errorf("answers %d %s", response.Code, response.Body)
	}
	response = post(t, handler, "/access/v1/evaluations", `{"evaluations":[`+fmt.Sprintf(question, "read")+`]}`)
	if response.Code != http.StatusServiceUnavailable {
		t.Errorf("among several it answers %d %s", response.Code, response.Body)
	}
	if response := post(t, handler, "/access/v1/search/resource", fmt.Sprintf(question, "read")); response.Code != http.StatusServiceUnavailable {
		t.Errorf("a search answers %d %s", response.Code, response.Body)
	}
	// A record that is proposed is nowhere to be looked up.
	if response := post(t, handler, "/access/v1/evaluation", fmt.Sprintf(question, "create")); response.Code != http.StatusOK || !strings.Contains(response.Body.String(), "true") {
		t.Errorf("a create answers %d %s", response.Code, response.Body)
	}
}

func TestManyRecordsAreSearchedPageByPageAndNotCounted(t *testing.T) {
	handler := New(archive{source: oneTenant(), customers: 2500}, fixedID)
	var found Found
	seen, pages, token := map[any]bool{}, 0, ""
	for {
		body := fmt.Sprintf(`{"subject":{"type":"user","id":"lina"},"action":{"name":"update"},"resource":{"type":"customer"},"page":{"token":%q,"limit":400}}`, token)
		response := post(t, handler, "/access/v1/search/resource", body)
		found = Found{}
		if err := json.Unmarshal(response.Body.Bytes(), &found); err != nil || response.Code != http.StatusOK {
			t.Fatal(response.Code, response.Body, err)
		}
		if found.Page.Count > 400 || found.Page.Count != len(found.Results) || found.Page.Total != nil {
			t.Errorf("a page of %+v with %d results", found.Page, len(found.Results))
		}
		for _, entity := range found.Results {
			if seen[entity["id"]] {
				t.Errorf("%v stands on two pages", entity["id"])
			}
			seen[entity["id"]] = true
		}
		if pages++; found.Page.NextToken == "" {
			break
		}
		token = found.Page.NextToken
	}
	if len(seen) != 1250 || pages != 4 {
		t.Errorf("%d records on %d pages, want lina's 1250 on 4", len(seen), pages)
	}
	// boris has no grant to update: all are gone through, and none is found.
	response := post(t, handler, "/access/v1/search/resource", `{"subject":{"type":"user","id":"boris"},"action":{"name":"update"},"resource":{"type":"customer"}}`)
	if got := response.Body.String(); !strings.Contains(got, `"results":[]`) || !strings.Contains(got, `"next_token":""`) {
		t.Errorf("boris may update %s", got)
	}
}
