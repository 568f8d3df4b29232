// A receiver in Go 1.19 or newer, without a library: verify, keep, then answer. Start it with
//
//	WEBHOOK_SECRET=whsec_… go run receiver.go
package main

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	tolerance    = 300 * time.Second
	bodyBytesMax = 1 << 20
)

// isGenuine tells whether these raw bytes are from who shares the key, unchanged and fresh. Verify before parsing.
func isGenuine(key []byte, header http.Header, body []byte, now time.Time) bool {
	ids, times, signatures := header.Values("webhook-id"), header.Values("webhook-timestamp"), header.Values("webhook-signature")
	if len(ids) != 1 || len(times) != 1 || len(signatures) != 1 || ids[0] == "" {
		return false // missing, or twice: nothing says which one was signed
	}
	seconds, err := strconv.ParseInt(times[0], 10, 64)
	if err != nil || seconds <= 0 || strconv.FormatInt(seconds, 10) != times[0] {
		return false
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.", ids[0], times[0])
	mac.Write(body)
	expected, matches := mac.Sum(nil), false
	for _, entry := range strings.Fields(signatures[0]) {
		offered, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(entry, "v1,"))
		if strings.HasPrefix(entry, "v1,") && err == nil && hmac.Equal(expected, offered) {
			matches = true
		}
	}
	off := now.Unix() - seconds
	limit := int64(tolerance / time.Second)
	return matches && off <= limit && off >= -limit
}

// journal keeps what came, one JSON line each. Use your database instead where you have one: insert under the id with a
// unique key, and answer after the commit.
type journal struct {
	mutex sync.Mutex
	file  *os.File
	seen  map[string]bool
}

type webhook struct {
	ID   string `json:"id"`
	Body []byte `json:"body"`
}

func open(path string) (*journal, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	kept := &journal{file: file, seen: map[string]bool{}}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 4*bodyBytesMax)
	for lines.Scan() {
		var before webhook
		if json.Unmarshal(lines.Bytes(), &before) == nil {
			kept.seen[before.ID] = true
		}
	}
	return kept, lines.Err()
}

func (kept *journal) keep(id string, body []byte) (string, error) {
	kept.mutex.Lock()
	defer kept.mutex.Unlock()
	if kept.seen[id] {
		return "duplicate", nil
	}
	line, err := json.Marshal(webhook{id, body})
	if err != nil {
		return "", err
	}
	if _, err := kept.file.Write(append(line, '\n')); err != nil {
		return "", err
	}
	if err := kept.file.Sync(); err != nil { // only what is on disk is acknowledged
		return "", err
	}
	kept.seen[id] = true
	return "stored", nil
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func main() {
	secret := os.Getenv("WEBHOOK_SECRET")
	key, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimPrefix(secret, "whsec_"), "="))
	if !strings.HasPrefix(secret, "whsec_") || err != nil || len(key) < 24 {
		log.Fatal("set WEBHOOK_SECRET to the signing secret, whsec_…")
	}
	kept, err := open(setting("WEBHOOK_JOURNAL", "webhooks.ndjson"))
	if err != nil {
		log.Fatal(err)
	}
	handler := func(response http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(response, request.Body, bodyBytesMax))
		switch {
		case err != nil:
			http.Error(response, "too large", http.StatusRequestEntityTooLarge)
		case request.Method != http.MethodPost || !isGenuine(key, request.Header, body, time.Now()):
			http.Error(response, "not verified", http.StatusUnauthorized)
		default:
			outcome, err := kept.keep(request.Header.Get("webhook-id"), body)
			if err != nil {
				log.Print(err)
				http.Error(response, "try again", http.StatusServiceUnavailable)
				return
			}
			// Work on it from the journal, after the answer: the sender waits 30 seconds at most.
			fmt.Fprint(response, outcome)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+setting("PORT", "3000"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	server := &http.Server{Handler: http.HandlerFunc(handler), ReadTimeout: 10 * time.Second}
	log.Fatal(server.Serve(listener))
}
