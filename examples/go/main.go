// Prints updates: go run . ws://localhost:8081/ws AAPL GOOG
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"math/rand"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/coder/websocket"
)

const minWait, maxWait = 500 * time.Millisecond, 8 * time.Second

// printUpdates prints the updates of one connection until it ends. It resets the wait when the subscription is answered.
func printUpdates(address, request string, wait *time.Duration) error {
	socket, response, err := websocket.Dial(context.Background(), address, nil)
	if err != nil {
		if response != nil && response.StatusCode != http.StatusTooManyRequests && response.StatusCode < 500 {
			log.Fatalf("refused: %d", response.StatusCode)
		}
		return err
	}
	defer socket.CloseNow()
	if err := socket.Write(context.Background(), websocket.MessageText, []byte(request)); err != nil {
		return err
	}
	for {
		// A dead connection sends no close. Three missed heartbeats count as a loss.
		ctx, cancel := context.WithTimeout(context.Background(), 45*time.Second)
		_, text, err := socket.Read(ctx)
		cancel()
		if err != nil {
			return err
		}
		var got map[string]any
		if err := json.Unmarshal(text, &got); err != nil {
			continue // not an object: a frame that this client does not know
		}
		_, hasPrice := got["price"]
		_, hasNumber := got["seq_id"]
		switch {
		case hasPrice && hasNumber: // an update; it may have more keys, also one named "type"
			fmt.Println(string(text))
		case got["type"] == "ack":
			*wait = minWait
			log.Print("rejected: ", got["rejected"])
		case got["type"] == "error":
			log.Fatal(got["message"])
		}
	}
}

func main() {
	address, err := url.Parse(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	query := address.Query()
	query.Set("heartbeat", "15")
	address.RawQuery = query.Encode()
	symbols, _ := json.Marshal(os.Args[2:])
	request := fmt.Sprintf(`{"action":"subscribe","id":"1","payload":{"symbols":%s}}`, symbols)
	random := rand.New(rand.NewSource(time.Now().UnixNano()))
	for wait := minWait; ; wait *= 2 {
		err := printUpdates(address.String(), request, &wait)
		log.Print(err)
		if code := websocket.CloseStatus(err); code >= 4500 && code <= 4999 {
			log.Fatalf("closed for good: %d", code)
		}
		if wait > maxWait {
			wait = maxWait
		}
		time.Sleep(wait/2 + time.Duration(random.Int63n(int64(wait/2))))
	}
}
