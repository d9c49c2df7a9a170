// Renders the template of a Glance widget `custom-api` with an answer: `dashboards TEMPLATE < answer.json`.
//
// Only what examples/dashboards/glance.yml uses is here: the methods Float, Int and String of .JSON, and mul, sub and div.
package main

import (
	"encoding/json"
	"html/template"
	"log"
	"os"
	"strconv"
	"strings"
)

type answer struct{ value any }

// find returns the value at a path such as `chart.result.0.meta.symbol`. Ends the program if there is no value.
func (a answer) find(path string) any {
	value := a.value
	for _, part := range strings.Split(path, ".") {
		found := false
		if list, isList := value.([]any); isList {
			if index, err := strconv.Atoi(part); err == nil && index < len(list) {
				value, found = list[index], true
			}
		} else if object, isObject := value.(map[string]any); isObject {
			value, found = object[part]
		}
		if !found {
			log.Fatalf("the answer has no %s", path)
		}
	}
	return value
}

func (a answer) Float(path string) float64 { return a.find(path).(float64) }
func (a answer) Int(path string) int       { return int(a.find(path).(float64)) }
func (a answer) String(path string) string { return a.find(path).(string) }

func number(value any) float64 {
	if whole, isWhole := value.(int); isWhole {
		return float64(whole)
	}
	return value.(float64)
}

func main() {
	functions := template.FuncMap{
		"mul": func(a, b any) float64 { return number(a) * number(b) },
		"sub": func(a, b any) float64 { return number(a) - number(b) },
		"div": func(a, b any) float64 { return number(a) / number(b) },
	}
	parsed := template.Must(template.New("widget").Funcs(functions).Parse(os.Args[1]))
	var value any
	if err := json.NewDecoder(os.Stdin).Decode(&value); err != nil {
		log.Fatal(err)
	}
	if err := parsed.Execute(os.Stdout, map[string]answer{"JSON": {value}}); err != nil {
		log.Fatal(err)
	}
}
