package work

import "encoding/json"

// resultSchema is what a run that changes code must return. Properties that it does not name are let through.
const resultSchema = `{
  "type": "object",
  "required": ["status", "summary"],
  "properties": {
    "status": {
      "type": "string",
      "enum": ["done", "blocked", "question"],
      "description": "done: the task is finished and committed. question: a person has to decide something first. blocked: it cannot be done."
    },
    "summary": {"type": "string", "minLength": 1, "description": "What was changed and why; or why it cannot be done."},
    "question": {"type": "string", "description": "With status question: what a person has to decide, with the choices you see."},
    "verified": {"type": "string", "description": "How the change was tested: commands and what they said."},
    "title": {"type": "string", "description": "Title of the pull request, at most 72 characters."}
  }
}`

// planSchema is what a planner must return.
const planSchema = `{
  "type": "object",
  "required": ["units"],
  "properties": {
    "units": {
      "type": "array",
      "items": {
        "type": "object",
        "required": ["label", "title", "brief", "owned_paths"],
        "properties": {
          "label": {"type": "string", "minLength": 1, "description": "Short name: lower-case letters, digits and dashes."},
          "title": {"type": "string", "minLength": 1, "description": "What the unit does, in one line."},
          "brief": {"type": "string", "minLength": 1, "description": "The whole task for somebody who knows nothing of the other units."},
          "owned_paths": {"type": "array", "items": {"type": "string", "minLength": 1}, "description": "Globs of the files that this unit alone may change."},
          "new_paths": {"type": "array", "items": {"type": "string", "minLength": 1}, "description": "Globs of files that the unit will create."},
          "depends_on": {"type": "array", "items": {"type": "string", "minLength": 1}, "description": "Labels of units that must be merged first."},
          "size": {"type": "string", "enum": ["small", "medium", "large"]}
        }
      }
    },
    "notes": {"type": "string", "description": "What the people who approve the plan should know."}
  }
}`

// ResultSchema is the JSON schema of what a run that changes code returns; it decodes into Result.
// Each call returns a copy of its own.
func ResultSchema() json.RawMessage { return json.RawMessage(resultSchema) }

// PlanSchema is the JSON schema of what a planner's run returns; it decodes into PlanOutput.
// Each call returns a copy of its own.
func PlanSchema() json.RawMessage { return json.RawMessage(planSchema) }

// Result is what the agent says of a run that changes code. Every text is the agent's: untrusted and unbounded.
type Result struct {
	Status   Outcome `json:"status"` // Done, Blocked or Question
	Summary  string  `json:"summary"`
	Question string  `json:"question,omitempty"`
	Verified string  `json:"verified,omitempty"` // how it was tested
	Title    string  `json:"title,omitempty"`    // of the pull request
}

// PlanOutput is what a planner's run returns. Every text is the agent's: untrusted and unbounded.
type PlanOutput struct {
	Units []Unit `json:"units"`
	Notes string `json:"notes,omitempty"`
}

// Unit is one unit of a planner's output, before anybody has checked it.
type Unit struct {
	Label      string   `json:"label"`
	Title      string   `json:"title"`
	Brief      string   `json:"brief"`
	OwnedPaths []string `json:"owned_paths"`
	NewPaths   []string `json:"new_paths,omitempty"`
	DependsOn  []string `json:"depends_on,omitempty"`
	Size       string   `json:"size,omitempty"` // small, medium, large or nothing
}
