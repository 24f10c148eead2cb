package decisionapi

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"sync"
)

const (
	// smallBody is what every connection may hold in memory, in bytes. A larger body needs one of maxLarge places, so that
	// whoever sends one slowly keeps other large ones waiting and no small one.
	smallBody = 16 << 10
	maxLarge  = 64
	// keptMemory is the largest buffer that is kept for the next request.
	keptMemory = 64 << 10
)

// workspace is the memory that a request is read and answered in, and that the next one gets.
type workspace struct {
	body    bytes.Buffer
	reader  reader
	limited io.LimitedReader
	asked   asked
	// question is the one that is being answered.
	question question
	// items are those of several questions.
	items []item
	reply []byte
	// place is one among the large bodies, where the request has one.
	place chan struct{}
}

var workspaces = sync.Pool{New: func() any { return new(workspace) }}

func (work *workspace) release() {
	if work.place != nil {
		<-work.place
		work.place = nil
	}
	if work.body.Cap() > keptMemory || cap(work.reply) > keptMemory {
		return
	}
	work.body.Reset()
	work.reader.forget()
	work.forgetItems()
	work.limited.R = nil
	work.asked = asked{}
	workspaces.Put(work)
}

func (work *workspace) forgetItems() {
	clear(work.items)
	work.items = work.items[:0]
	if cap(work.items) > keptValues {
		work.items = nil
	}
}

// readBody reads the body of the request, for the endpoint to read what is in it.
func (a *asked) readBody(w http.ResponseWriter) error {
	if err := hasJSON(a.http); err != nil {
		return err
	}
	if a.http.ContentLength > MaxBody {
		w.Header().Set("Connection", "close") // what follows is not read
		return errTooLarge
	}
	work := a.work
	work.limited = io.LimitedReader{R: a.http.Body, N: smallBody + 1}
	_, err := work.body.ReadFrom(&work.limited)
	if err == nil && work.body.Len() > smallBody {
		err = a.readLarge(w)
	}
	if err != nil {
		return bodyFault(err)
	}
	work.reader.begin(work.body.Bytes())
	a.body = &work.reader
	return nil
}

// bodyFault says why a body was not read to its end.
func bodyFault(err error) error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return errTooLarge
	case errors.Is(err, errBusy):
		return err
	}
	return refuse(http.StatusBadRequest, "the body could not be read to its end")
}

var (
	errTooLarge = refuse(http.StatusBadRequest, "the body is larger than %d MiB", MaxBody>>20)
	errBusy     = refuse(http.StatusServiceUnavailable, "too many large questions at once: ask again soon")
)

// readLarge reads what is left of a large body, once there is a place for it.
func (a *asked) readLarge(w http.ResponseWriter) error {
	select {
	case a.large <- struct{}{}:
		a.work.place = a.large
	case <-a.http.Context().Done():
		return errBusy
	}
	_, err := a.work.body.ReadFrom(http.MaxBytesReader(w, a.http.Body, int64(MaxBody-a.work.body.Len())))
	return err
}

func hasJSON(r *http.Request) error {
	given := r.Header.Get("Content-Type")
	if given == applicationJSON[0] {
		return nil
	}
	if kind, _, err := mime.ParseMediaType(given); err != nil || kind != applicationJSON[0] {
		return refuse(http.StatusBadRequest, "content type %s: send application/json", shown(given))
	}
	return nil
}

// write sends an answer.
func (work *workspace) write(w http.ResponseWriter, status int, reply any) {
	text, err := appendReply(work.reply[:0], reply)
	if err != nil {
		status = http.StatusInternalServerError
		text = append(text[:0], `{"error":"the answer cannot be written as JSON"}`...)
	}
	text = append(text, '\n')
	work.reply = text
	if len(text) > chunkedFrom {
		w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	}
	w.WriteHeader(status)
	_, _ = w.Write(text) //nolint:gosec // G705: JSON, said to be JSON; and who has gone away cannot be told
}

// chunkedFrom is from when on net/http would not find out the length of an answer by itself.
const chunkedFrom = 2048
