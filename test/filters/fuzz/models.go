// Which models servers in Go see in bodies; the same lines as models.py.
package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"mime"
	"mime/multipart"
	"os"
	"strings"
)

type member [2]any

// Ollama and LocalAI decode a body into a struct that has such a field.
func ofJSON(body []byte) ([]member, error) {
	var read struct {
		Model *string `json:"model"`
	}
	if err := json.Unmarshal(body, &read); err != nil {
		return nil, err
	}
	if read.Model == nil {
		return []member{}, nil
	}
	return []member{{"model", hex.EncodeToString([]byte(*read.Model))}}, nil
}

func ofForm(contentType string, body []byte) ([]member, error) {
	_, parameters, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, err
	}
	form, err := multipart.NewReader(bytes.NewReader(body), parameters["boundary"]).ReadForm(1 << 20)
	if err != nil {
		return nil, err
	}
	found := []member{}
	for name, values := range form.Value {
		for _, value := range values {
			if strings.EqualFold(name, "model") {
				found = append(found, member{name, hex.EncodeToString([]byte(value))})
			}
		}
	}
	for name := range form.File {
		if strings.EqualFold(name, "model") {
			found = append(found, member{name, nil})
		}
	}
	return found, nil
}

func main() {
	in := bufio.NewReader(os.Stdin)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		words := strings.Split(strings.TrimSuffix(line, "\n"), " ")
		body, _ := hex.DecodeString(words[2])
		var read []member
		if words[0] == "json" {
			read, err = ofJSON(body)
		} else {
			contentType, _ := hex.DecodeString(words[1])
			read, err = ofForm(string(contentType), body)
		}
		if err != nil {
			read = nil
		}
		told, _ := json.Marshal(read)
		fmt.Println(string(told))
	}
}
