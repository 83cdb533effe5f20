"""What every page and the platform API build on: the request at work, who sent it, cursors of lists; and in `api` what
all views of the platform API share (decision 0019). It knows none of the apps that use it.
"""
