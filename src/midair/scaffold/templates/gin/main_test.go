package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestThePageGreets(t *testing.T) {
	answer := httptest.NewRecorder()
	routes().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", nil))
	if answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), "<h1>"+greeting+"</h1>") {
		t.Fatal(answer.Code, answer.Body.String())
	}
}
