// Change greeting and save: the page in the browser shows it.
package main

import (
	"context"
	"html/template"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"
)

const greeting = "Hello from Gin"

func routes() *gin.Engine {
	router := gin.New()
	router.Use(gin.Logger(), gin.Recovery(), sayingClose)
	router.LoadHTMLFiles("index.html")
	router.Static("/static", "static")
	router.GET("/", func(c *gin.Context) {
		// While it is developed, midair names the script that refreshes the page; else the variable is empty.
		script := template.HTML(os.Getenv("MIDAIR_DEV_SCRIPT"))
		c.HTML(http.StatusOK, "index.html", gin.H{"greeting": greeting, "script": script})
	})
	router.GET("/health", func(c *gin.Context) { c.String(http.StatusOK, "ok\n") })
	return router
}

// --- what lets midair replace this program by the next one while it serves ---

// After SIGTERM every answer says "Connection: close" for this long, so that keep-alive clients leave by themselves.
const lingerFor = 2 * time.Second

var leaving atomic.Bool

func main() {
	listener := inherited()
	server := &http.Server{Handler: routes()}

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	ended := make(chan struct{})
	go func() {
		<-stop
		leave(server, listener)
		close(ended)
	}()

	sayReady() // last, after all that can fail
	if err := server.Serve(keepOpen{listener}); err != nil && err != http.ErrServerClosed && !leaving.Load() {
		log.Fatal(err)
	}
	<-ended
}

// inherited takes the listening socket that midair passes: descriptor 3, as systemd does it. Without midair it binds.
func inherited() net.Listener {
	if os.Getenv("LISTEN_FDS") == "" {
		listener, err := net.Listen("tcp", "127.0.0.1:8000")
		if err != nil {
			log.Fatal(err)
		}
		return listener
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
	connection, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	connection.Write([]byte("READY=1\n"))
}

func leave(server *http.Server, listener net.Listener) {
	leaving.Store(true)
	listener.Close() // our copy only; the next version accepts on its own
	time.Sleep(lingerFor)
	limit, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	server.Shutdown(limit)
}

func sayingClose(c *gin.Context) {
	if leaving.Load() {
		c.Header("Connection", "close")
	}
}
