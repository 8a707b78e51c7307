"""Pages for browsers: server-rendered, working without JavaScript, over the same use cases as commands and the API.

They show and ask; they decide nothing, hold no SQL, and let nobody do what the service layer refuses. Templates escape
whatever they show, and charts whatever is in them: no markup is put together by hand.
"""
