package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	lua "github.com/yuin/gopher-lua"
)

// runLua runs a script as Argo CD does: with the object as "obj". Both are on stdin, {"script": TEXT, "obj": OBJECT}; what the
// script returns is printed as JSON.
func runLua([]string) int {
	return fail("lua", func() error {
		text, err := io.ReadAll(os.Stdin)
		if err != nil {
			return err
		}
		var asked struct {
			Script string `json:"script"`
			Obj    any    `json:"obj"`
		}
		if err := json.Unmarshal(text, &asked); err != nil {
			return fmt.Errorf("read stdin: %w", err)
		}
		state := lua.NewState(lua.Options{SkipOpenLibs: true})
		defer state.Close()
		for _, library := range []struct {
			name string
			open lua.LGFunction
		}{
			{lua.LoadLibName, lua.OpenPackage}, {lua.BaseLibName, lua.OpenBase}, {lua.TabLibName, lua.OpenTable},
			{lua.StringLibName, lua.OpenString},
		} {
			if err := state.CallByParam(lua.P{Fn: state.NewFunction(library.open), Protect: true}, lua.LString(library.name)); err != nil {
				return err
			}
		}
		// There it has to be asked for.
		state.PreloadModule("os", lua.OpenOs)
		state.SetGlobal("obj", toLua(state, asked.Obj))
		if err := state.DoString(asked.Script); err != nil {
			return err
		}
		if state.GetTop() == 0 {
			return errors.New("the script returns nothing")
		}
		answer, err := json.Marshal(fromLua(state.Get(-1)))
		if err != nil {
			return err
		}
		fmt.Println(string(answer))
		return nil
	}())
}

// toLua gives what encoding/json read as Lua has it.
func toLua(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case bool:
		return lua.LBool(value)
	case float64:
		return lua.LNumber(value)
	case string:
		return lua.LString(value)
	case []any:
		table := state.NewTable()
		for _, item := range value {
			table.Append(toLua(state, item))
		}
		return table
	case map[string]any:
		table := state.NewTable()
		for key, item := range value {
			table.RawSetString(key, toLua(state, item))
		}
		return table
	}
	return lua.LNil
}

// fromLua is its reverse; a table with a first item is a list.
func fromLua(value lua.LValue) any {
	switch value := value.(type) {
	case lua.LBool:
		return bool(value)
	case lua.LNumber:
		return float64(value)
	case lua.LString:
		return string(value)
	case *lua.LTable:
		if value.Len() > 0 {
			list := []any{}
			for at := 1; at <= value.Len(); at++ {
				list = append(list, fromLua(value.RawGetInt(at)))
			}
			return list
		}
		object := map[string]any{}
		value.ForEach(func(key, item lua.LValue) { object[key.String()] = fromLua(item) })
		return object
	}
	return nil
}
