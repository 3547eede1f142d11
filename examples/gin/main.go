// An ordinary Gin program: nothing in it knows of midair.
package main

import (
	"context"
	"errors"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"
)

const version = "1"

func main() {
	router := gin.Default()
	router.LoadHTMLGlob("templates/*")
	router.GET("/", func(c *gin.Context) {
		c.Header("X-Version", version)
		c.HTML(http.StatusOK, "index.tmpl", gin.H{"version": version})
	})
	router.GET("/about", func(c *gin.Context) {
		c.Header("X-Version", version)
		c.JSON(http.StatusOK, gin.H{"version": version, "pid": os.Getpid()})
	})
	serve(&http.Server{Addr: ":" + port(), Handler: router})
}

// serve ends in the way that Gin's own documentation recommends: what has been asked is still answered.
func serve(server *http.Server) {
	told, forget := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer forget()
	go func() {
		if err := server.ListenAndServe(); err != nil && !errors.Is(err, http.ErrServerClosed) {
			log.Fatal(err)
		}
	}()
	<-told.Done()
	limit, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(limit); err != nil {
		log.Print(err)
	}
}

func port() string {
	if port := os.Getenv("PORT"); port != "" {
		return port
	}
	return "8080"
}
