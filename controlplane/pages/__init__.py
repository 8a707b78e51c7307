"""Pages for browsers: server-rendered, working without JavaScript, over the same use cases as commands and the API.

They show and ask; they decide nothing, hold no SQL, and let nobody do what the service layer refuses. No markup is put together
by hand: templates escape whatever they show.
"""
