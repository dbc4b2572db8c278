-- Account managers of all sources, newest version of each.
with newest as (

    {{ newest_version(source('input_layer', 'owners'), ['source', 'owner_id'], 'updated_at') }}

),

renamed as (

    select
        source,
        owner_id,
        owner_name,
        email,
        team,
        updated_at
    from newest

)

select
    source,
    owner_id,
    owner_name,
    email,
    team,
    updated_at
from renamed
