-- What a query of an archive (XEP-0313) asks for, as attributes of onHistory.

-- Gives the bounds asked for, and the address of the conversation that it is limited to, or nil.
local function bounds(query)
	local attributes, with = {}, nil;
	local form = query:get_child("x", "jabber:x:data");
	for field in form and form:childtags("field") or function () end do
		local value = field:get_child_text("value");
		if field.attr.var == "start" then attributes["history-from"] = value; end
		if field.attr.var == "end" then attributes["history-to"] = value; end
		if field.attr.var == "with" then with = value; end
	end
	local set = query:get_child("set", "http://jabber.org/protocol/rsm");
	attributes["history-max"] = set and set:get_child_text("max");
	return attributes, with;
end

return { bounds = bounds };
