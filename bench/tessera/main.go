// The peer of the certified import: Tessera's POSIX log. It appends leaves of 200 bytes, waits until a published
// checkpoint covers the last of them, and prints how many it took in a second.
package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

func main() {
	folder := flag.String("folder", "", "an empty folder on the disk to be measured")
	leaves := flag.Int("leaves", 1_000_000, "how many leaves")
	isTuned := flag.Bool("tuned", false, "with larger batches and more frequent checkpoints than it has by itself")
	flag.Parse()
	if err := run(context.Background(), *folder, *leaves, *isTuned); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, folder string, leaves int, isTuned bool) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	secret, _, err := note.GenerateKey(rand.Reader, "bench.example")
	if err != nil {
		return err
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		return err
	}
	driver, err := posix.New(ctx, posix.Config{Path: folder})
	if err != nil {
		return err
	}
	options := tessera.NewAppendOptions().WithCheckpointSigner(signer)
	if isTuned {
		options = options.WithBatching(1024, 100*time.Millisecond).WithCheckpointInterval(time.Second)
	}
	appender, stop, reader, err := tessera.NewAppender(ctx, driver, options)
	if err != nil {
		return err
	}
	awaiter := tessera.NewPublicationAwaiter(ctx, reader.ReadCheckpoint, 100*time.Millisecond)
	started := time.Now()
	// A window of futures: as many are in flight as the log wants, and memory stays flat.
	window := make(chan tessera.IndexFuture, 8192)
	failed := make(chan error, 1)
	go func() {
		var last tessera.IndexFuture
		for future := range window {
			if _, err := future(); err != nil {
				failed <- err
				return
			}
			last = future
		}
		_, _, err := awaiter.Await(ctx, last)
		failed <- err
	}()
	for at := range leaves {
		leaf := make([]byte, 200)
		binary.BigEndian.PutUint64(leaf, uint64(at))
		window <- appender.Add(ctx, tessera.NewEntry(leaf))
	}
	close(window)
	if err := <-failed; err != nil {
		return err
	}
	fmt.Printf("%.0f\n", float64(leaves)/time.Since(started).Seconds())
	return stop(ctx)
}
