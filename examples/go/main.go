// A web server that midair can update: it inherits its socket, says when it is ready, and leaves gently.
package main

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

const version = "1"

// After SIGTERM every answer says "Connection: close" for this long, so that keep-alive clients leave by themselves.
const lingerFor = 2 * time.Second

var leaving atomic.Bool

func main() {
	listener := inherited()
	mux := http.NewServeMux()
	mux.HandleFunc("/", welcome)
	mux.HandleFunc("/health", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("ok\n")) })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		seconds, err := strconv.ParseFloat(r.URL.Query().Get("s"), 64)
		if err != nil {
			seconds = 2
		}
		time.Sleep(time.Duration(seconds * float64(time.Second)))
		welcome(w, r)
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client has gone
		}
		w.Header().Set("X-Version", version)
		w.Write(body)
	})
	server := &http.Server{Handler: sayingClose(mux)}

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	ended := make(chan struct{})
	go func() {
		<-stop
		leave(server, listener)
		close(ended)
	}()

	// Ready is said last: the socket is inherited and listens already, so whoever connects from now on is served.
	sayReady()
	if err := server.Serve(keepOpen{listener}); err != nil && err != http.ErrServerClosed && !leaving.Load() {
		log.Fatal(err)
	}
	<-ended
}

// inherited takes the first socket that the parent passed: descriptor 3, as systemd and midair do it.
func inherited() net.Listener {
	if os.Getenv("LISTEN_FDS") == "" {
		log.Fatal("no LISTEN_FDS: start me with `midair run`")
	}
	file := os.NewFile(3, "listener")
	listener, err := net.FileListener(file)
	if err != nil {
		log.Fatal(err)
	}
	file.Close() // FileListener made its own copy
	return listener
}

// keepOpen leaves closing the listener to us: Shutdown would close it first.
type keepOpen struct{ net.Listener }

func (keepOpen) Close() error { return nil }

func sayReady() {
	address := os.Getenv("NOTIFY_SOCKET")
	if address == "" {
		return
	}
	// A leading @ means an abstract address; net understands it as it is.
	connection, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	connection.Write([]byte("READY=1\n"))
}

func leave(server *http.Server, listener net.Listener) {
	leaving.Store(true)
	listener.Close() // our copy only; the new version accepts on its own
	time.Sleep(lingerFor)
	limit, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	server.Shutdown(limit)
}

func sayingClose(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if leaving.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

func welcome(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Version", version)
	json.NewEncoder(w).Encode(map[string]any{"version": version, "pid": os.Getpid()})
}
